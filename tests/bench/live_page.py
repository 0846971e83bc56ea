"""What an open Live page costs: processor seconds a minute of the server and of the browser, while a stand-in for the
engine tells what an engine would tell, then while it is silent. `python -m tests.bench.live_page [SECONDS]`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from playwright.sync_api import Page, sync_playwright

from core.assets import RECIPES
from core.events import Measured, Progress, RunStarted, StepFinished, StepStarted
from core.points import Latency, Point
from core.processes.dashboard import DASHBOARD, ensure_dashboard, stop_dashboard
from core.runs import Run
from core.workspace import Workspace
from tests.browser import CHROMIUM, FLAGS, SLOW, wait_until_drawn

EVERY = 0.2  # seconds between two events, as the engine thins them
BATCHES, EPOCHS = 12, 60  # of a distillation as in the demo: an epoch takes 2.4 s


def begun(workspace: Workspace) -> Run:
    """A run of the demo's recipe in its second step, the first one measured."""
    run = workspace.create_run((RECIPES / "demo.toml").read_text(encoding="utf-8"))
    latency = Latency(runtime="onnxruntime", device="cpu", threads=1, batch=1, n=9, p50=4.0, p95=5.0, noisy=False)
    point = Point(
        step=0,
        stage="transfer",
        method="linear_probe",
        name="efficientnet_lite0",
        accuracy=0.8,
        accuracy_low=0.78,
        accuracy_high=0.82,
        validation_accuracy=0.8,
        bytes=13_470_000,
        latency_ms=latency,
    )
    run.emit(RunStarted(os.getpid(), {"device": "CPU", "threads": "2"}))
    run.emit(StepStarted(0, "transfer", "linear_probe", "efficientnet_lite0", 1))
    run.emit(Measured("point", 0, point), StepFinished(0, 3.0))
    run.emit(StepStarted(1, "distill", "kd", "resnet8", EPOCHS))
    return run


class Engine(threading.Thread):
    """Tells of training, five times a second, until it is told to stop."""

    def __init__(self, run: Run) -> None:
        super().__init__(daemon=True)
        self.run_ = run
        self.stopped = threading.Event()

    def run(self) -> None:
        tick = 0
        while not self.stopped.wait(EVERY):
            tick += 1
            epoch, batch = divmod(tick, BATCHES)
            loss = 2.0 / (1 + tick / BATCHES)
            judged = 1 - loss / 3 if batch == 0 else None
            told = Progress(
                1, 0, "training", epoch, EPOCHS, batch, BATCHES, loss, 1 - loss / 2, loss, judged, 3210.0, 42.0
            )
            self.run_.emit(told)

    def end(self) -> None:
        self.stopped.set()
        self.join()


def spent(root: psutil.Process) -> float:
    """Processor seconds of a process and all it started."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def browser_process() -> psutil.Process:
    """The Chromium that this process started."""
    name = Path(CHROMIUM).name
    found = [p for p in psutil.Process().children(recursive=True) if "--headless" in " ".join(p.cmdline())]
    assert found, f"no {name} is running"
    return found[0]


def minute(what: str, seconds: float, page: Page, server: psutil.Process) -> str:
    """A line of the table: processor seconds a minute."""
    browser = browser_process()
    before = spent(server), spent(browser)
    drawn = _drawn(page)
    start = time.monotonic()
    page.wait_for_timeout(1000 * seconds)
    passed = (time.monotonic() - start) / 60
    used = (spent(server) - before[0]) / passed, (spent(browser) - before[1]) / passed
    return f"{what:<28} {used[0]:6.1f} s server {used[1]:6.1f} s browser, chart looked at {_drawn(page) - drawn} times"


def _drawn(page: Page) -> int:
    return int(page.locator(".live-plot").first.get_attribute("data-drawn") or 0)


@contextmanager
def opened(url: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
        page.set_default_timeout(SLOW)
        page.goto(url)
        page.wait_for_selector(".live-plot .scatterlayer path.js-line")
        wait_until_drawn(page)
        yield page
        browser.close()


def main(seconds: float, command: tuple[str, ...] = DASHBOARD) -> None:
    """Prints the table; `command` starts the dashboard."""
    if not CHROMIUM:
        print("What an open page costs was not measured: there is no Chromium on this machine.")
        return
    with TemporaryDirectory() as folder:
        workspace = Workspace.open_or_create(Path(folder))
        run = begun(workspace)
        address = ensure_dashboard(workspace, command=command)
        server, engine = psutil.Process(address.who.pid), Engine(run)
        told: list[str] = []
        try:
            engine.start()
            time.sleep(3)
            with run.hold(), opened(f"{address.url.rstrip('/')}/live?run={run.id}") as page:
                page.wait_for_timeout(5000)
                told.append(minute("training", seconds, page, server))
                engine.end()
                page.wait_for_timeout(3000)
                told.append(minute("silent, as while measuring", seconds, page, server))
        finally:
            engine.stopped.set()
            stop_dashboard(workspace)
    print("\n".join(told))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
