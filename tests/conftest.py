"""A dashboard on a workspace of its own, and a real browser in front of it."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.processes.workers import identity, stop_supervisor
from core.workspace import Workspace
from tests.browser import CHROMIUM, FLAGS, SLOW, Site, Watched

# Whoever measures lets all others on the machine wait: only the tests of one process wait for each other.
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="condenser-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)
settings.register_profile("ours", deadline=None)  # a busy machine proves nothing wrong
settings.load_profile("ours")
pytest.register_assert_rewrite("tests.receipts")  # its assertions tell what they compared


LONG = ("core/engine/pipeline/", "core/processes/", "dashboard/", "test_")  # below tests/, longest first


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, so that where tests share the cores neither waits long for the other at the end."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """The lower the earlier."""
    path = item.location[0].removeprefix("tests/")
    return next((place for place, prefix in enumerate(LONG) if path.startswith(prefix)), len(LONG))


@pytest.fixture(autouse=True)
def denormals_kept() -> Iterator[None]:
    """A run owns its process and flushes denormal numbers in it; no test leaves that to the next."""
    _keep_denormals()
    yield
    _keep_denormals()


def _keep_denormals() -> None:
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium; without one the test is skipped with a loud line, on CI it fails."""
    if not CHROMIUM:
        told = "NO CHROMIUM ON THIS MACHINE: what a person sees in the browser has not been tested"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        warnings.warn(told, pytest.PytestWarning, stacklevel=1)
        pytest.skip(told)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A dashboard on a fresh workspace, without a supervisor."""
    workspace = Workspace.open_or_create(tmp_path_factory.mktemp("site"))
    address = ensure_dashboard(workspace)
    yield Site(workspace, address)
    stop_dashboard(workspace)
    stop_supervisor(workspace)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser without a past."""
    opened = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    opened.set_default_timeout(SLOW)
    yield opened
    opened.close()


@pytest.fixture
def watched(context: BrowserContext) -> Watched:
    return Watched(context.new_page()).listen()


@pytest.fixture
def attended(site: Site) -> Iterator[None]:
    """Somebody who seems to answer and does not: the page asks, polls and draws itself again and again."""
    with subprocess.Popen(["sleep", "600"]) as somebody:
        who = identity(somebody.pid)
        assert who is not None
        path = site.workspace.path / "supervisor.json"
        path.write_text(who.to_json())
        yield
        path.unlink()
        somebody.kill()
