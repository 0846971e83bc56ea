"""A person's own photos by page: imported, chosen on Design, a preset applied, started, watched to its end, taken away
as a bundle that answers. Nothing here asks how good the answers are: 120 photos are few."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.processes.workers import ensure_supervisor, stop_supervisor
from core.state import Status
from core.workspace import Workspace
from dashboard.design.presets import PRESETS
from tests.browser import SLOW, Site, Watched, wait_until_drawn
from tests.photos import make_photos

BUSY = 900  # seconds a run may take on a machine that does other things beside
TITLES = {"quick": "Quick look", "balanced": "Balanced", "smallest": "Smallest", "fastest": "Fastest"}

expect.set_options(timeout=SLOW)
pytestmark = pytest.mark.timeout(2 * BUSY)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Site]:
    """A dashboard on a workspace into which the photos were imported by command."""
    store = Workspace.open_or_create(tmp_path_factory.mktemp("own"))
    found = condenser(store, "import", str(photos), "--name", "my photos")
    assert (found["classes"], found["images"]) == (4, 120)
    ensure_supervisor(store)
    yield Site(store, ensure_dashboard(store))
    stop_dashboard(store)
    stop_supervisor(store)


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Watched]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    context.set_default_timeout(SLOW)
    yield Watched(context.new_page()).listen()
    context.close()


def condenser(store: Workspace, *words: str) -> dict[str, Any]:
    environment = {**os.environ, "CONDENSER_WORKSPACE": str(store.path), "no_proxy": "*"}
    command = [sys.executable, "-m", "core.cli", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=BUSY, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.faults
@pytest.mark.parametrize("preset", [preset.name for preset in PRESETS])
def test_every_preset_from_photos_to_bundle(
    own: Site, visitor: Watched, preset: str, photos: Path, tmp_path: Path
) -> None:
    by_page(own, visitor, preset, photos, tmp_path)


def by_page(own: Site, visitor: Watched, preset: str, photos: Path, folder: Path) -> None:
    """The whole way with one preset."""
    run_id = started(own, visitor, preset)
    run = own.workspace.run(run_id)
    until = time.monotonic() + BUSY
    while not (state := run.state()).status.is_over:
        assert time.monotonic() < until, state.status
        visitor.page.wait_for_timeout(500)  # the page goes on: a browser whose events nobody takes comes to a stop
    assert state.status is Status.FINISHED, (state.error, state.cause, run.log_tail())
    assert state.stops == 0, state.stopped_by
    assert len(state.points) == len({step.step for step in state.steps})
    visitor.is_clean()
    expect(visitor.page.locator(".st-key-where")).to_contain_text("finished")
    visitor.is_clean()
    bundle = folder / preset
    condenser(own.workspace, "export", run_id, "--out", str(bundle))
    answers_from(bundle, photos)


def started(own: Site, visitor: Watched, preset: str) -> str:
    """Chooses the photos and the preset on Design, and presses Start; the page is then Live's."""
    page = visitor.page
    page.goto(own.at("design"))
    page.wait_for_selector("[data-testid=stMain] h2")
    wait_until_drawn(page)
    page.locator("[class*='_dataset_menu'] input").click()
    page.get_by_role("option", name="my photos").click()
    expect(page.locator(".st-key-design_fitted")).to_contain_text("Labels used 300 → all")
    chosen = page.get_by_role("radio", name=TITLES[preset])
    chosen.click()
    expect(chosen).to_have_attribute("aria-checked", "true")
    wait_until_drawn(page)
    page.locator(".st-key-design_start button").first.click()
    page.wait_for_url("**/live?*run=*")
    return parse_qs(urlsplit(page.url).query)["run"][0]


def answers_from(bundle: Path, photos: Path) -> None:
    """The bundle alone names the class of each photo."""
    pictures = [str(path) for path in sorted(photos.rglob("*.png"))[:8]]
    done = subprocess.run(
        [sys.executable, str(bundle / "predict.py"), *pictures],
        capture_output=True,
        text=True,
        timeout=BUSY,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    names = {path.name for path in photos.iterdir()}
    assert len(rows) == len(pictures)
    assert {row["label"] for row in rows} <= names
