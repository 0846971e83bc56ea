"""What the browser tests share: the system's Chromium, a running dashboard, and a page that is watched."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from importlib.resources import files

import psutil
from playwright.sync_api import Page

from core.processes.dashboard import Address
from core.workspace import Workspace

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OWN_PROBE = re.compile(r"/[a-z-]+/_stcore/(host-config|health)$")  # Streamlit asks under a page's address first
AXE = files("axe_playwright_python").joinpath("axe.min.js")
STREAMLITS_OWN = ("stFileUploaderDropzone",)  # a presentation role on what takes the focus; not ours to change
SLOW = 30_000  # milliseconds a page may take on a busy machine before a test gives up


@dataclass(frozen=True)
class Site:
    """A running dashboard and its workspace."""

    workspace: Workspace
    address: Address

    def at(self, path: str = "") -> str:
        return self.address.url.rstrip("/") + "/" + path

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.address.who.pid)


@dataclass
class Watched:
    """A page and what it did that nobody should see: requests to others, errors on the console."""

    page: Page
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def listen(self) -> Watched:
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("console", lambda told: self._told(told.type, told.text, str(told.location.get("url", ""))))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        return self

    def _asked(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")):
            self.foreign.append(url)

    def _told(self, kind: str, text: str, source: str) -> None:
        if kind == "error" and OWN_PROBE.search(source) is None:
            self.errors.append(f"{text} ({source})")

    def is_clean(self) -> None:
        assert self.foreign == [], self.foreign
        assert self.errors == [], self.errors


def wait_until_drawn(page: Page) -> None:
    """Until Streamlit has drawn the whole page: its script has run, and no part is still a grey placeholder."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", state="attached")
    page.wait_for_function("() => document.querySelector('[data-testid=stSkeleton]') === null")


def violations(page: Page) -> list[str]:
    """What axe-core finds in what is open on the page, but for Streamlit's own parts."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    told = [f"{rule['id']}: {node['html'][:300]} {node['failureSummary']}" for rule in found for node in rule["nodes"]]
    return [line for line in told if not any(name in line for name in STREAMLITS_OWN)]
