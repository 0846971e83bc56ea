"""The Live page while events pour in at 10 a second: nothing is redrawn from nothing, nothing lags, nothing is lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from core.events import Measured, Progress, RunFinished, RunStarted, StepFinished, StepStarted
from core.points import Latency, Point
from core.runs import Run
from core.state import Status
from tests.browser import Site, Watched, wait_until_drawn
from tests.pace import slowness

RECIPE = """schema = 1
name = "emitted"
dataset = "fashion-mini"
backbone = "efficientnet_lite0"
image_size = 64
[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 200
"""

RECORDER = """() => {
  const node = document.querySelector(".st-key-curves .live-plot, .live-plot");
  const seen = { draws: [], blank: 0, frames: 0, removed: 0 };
  window.seen = seen;
  const points = () => document.querySelectorAll(".live-plot .scatterlayer path.js-line").length;
  new MutationObserver(() => seen.draws.push([Date.now() / 1000, Number(node.dataset.newest)]))
    .observe(node, { attributes: true, attributeFilter: ["data-newest"] });
  new MutationObserver((changes) => { for (const change of changes) for (const gone of change.removedNodes)
      if (gone.nodeType === 1 && (gone.matches(".live-plot") || gone.querySelector(".live-plot"))) seen.removed += 1;
  }).observe(document.body, { childList: true, subtree: true });
  const look = () => {
    seen.frames += 1;
    const box = node.getBoundingClientRect();
    let opacity = 1;
    for (let up = node; up; up = up.parentElement) opacity = Math.min(opacity, Number(getComputedStyle(up).opacity));
    if (!node.isConnected || box.height < 50 || points() === 0 || opacity < 0.9) seen.blank += 1;
    requestAnimationFrame(look);
  };
  look();
}"""


class Engine:
    """Says at 10 events a second what an engine would say."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._emit)

    def start(self) -> None:
        self.run.emit(RunStarted(os.getpid(), {"device": "CPU", "threads": "2"}))
        self.run.emit(StepStarted(0, "transfer", "fine_tune", "fine-tuning", 200))
        self._batch(0, 1)
        self.thread.start()

    def _emit(self) -> None:
        for tick in range(1, 2000):
            if self.stopped.wait(0.1):
                return
            self._batch(*divmod(tick, 10))

    def _batch(self, epoch: int, batch: int) -> None:
        loss = 2.0 / (1 + epoch + batch / 10)
        judged = 1 - loss / 3 if batch == 0 else None
        told = Progress(0, 0, "training", epoch, 200, batch, 10, loss, 1 - loss / 2, loss, judged, 3210.0, 42.0)
        self.run.emit(told)

    def point(self) -> None:
        latency = Latency(runtime="onnxruntime", device="cpu", threads=1, batch=1, n=9, p50=1.0, p95=2.0, noisy=False)
        figures: dict[str, Any] = {"accuracy": 0.8, "accuracy_low": 0.78, "accuracy_high": 0.82, "bytes": 13_470_000}
        point = Point(step=0, stage="transfer", method="fine_tune", name="net", latency_ms=latency, **figures)
        self.run.emit(Measured("point", 0, point), StepFinished(0, 1.0))

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()


@pytest.fixture
def engine(site: Site) -> Iterator[Engine]:
    speaking = Engine(site.workspace.create_run(RECIPE))
    speaking.start()
    yield speaking
    speaking.stop()
    if not speaking.run.state().status.is_over:
        site.workspace.cancel(speaking.run.id)


def open_live(site: Site, page: Page, run: Run) -> None:
    page.goto(site.at(f"live?run={run.id}"))
    page.wait_for_selector(".live-plot .scatterlayer path.js-line")


def x_range(page: Page) -> list[float]:
    found: list[float] = page.evaluate("document.querySelector('.live-plot')._fullLayout.xaxis.range.map(Number)")
    return found


@pytest.mark.thorough
@pytest.mark.alone
def test_a_chart_follows_without_ever_being_replaced(site: Site, watched: Watched, engine: Engine) -> None:
    page = watched.page
    open_live(site, page, engine.run)
    page.locator(".st-key-curves_training label").click()  # then each event changes the chart
    page.wait_for_function("() => document.querySelectorAll('.st-key-curves .scatterlayer .trace').length >= 3")
    page.evaluate(RECORDER)
    page.wait_for_timeout(3000)  # what a busy machine is told moves the chart down
    plot = page.locator(".st-key-curves .nsewdrag").first.bounding_box()
    assert plot is not None
    page.mouse.move(plot["x"] + 0.2 * plot["width"], plot["y"] + 5)
    page.mouse.down()
    page.mouse.move(plot["x"] + 0.6 * plot["width"], plot["y"] + plot["height"] - 5, steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    zoomed, drawn = x_range(page), int(page.locator(".live-plot").first.get_attribute("data-drawn") or 0)
    page.wait_for_function(f"() => Number(document.querySelector('.live-plot').dataset.drawn) >= {drawn + 10}")
    assert x_range(page) == pytest.approx(zoomed), "zoom survives ten updates"
    engine.point()
    page.wait_for_selector("text=13.47 MB")
    assert x_range(page) == pytest.approx(zoomed), "and a point that lands"
    seen = page.evaluate("window.seen")
    lags = waits(engine.run, seen["draws"])
    print(f"lag p50 {np.percentile(lags, 50):.2f} s, p95 {np.percentile(lags, 95):.2f} s, {seen['frames']} frames")
    assert seen["removed"] == 0, "no chart node is replaced"
    assert (seen["frames"] > 30, seen["blank"]) == (True, 0), "no frame is blank"
    assert len(lags) >= 100
    assert np.percentile(lags, 95) <= 1.5, lags.round(2)
    watched.is_clean()


def waits(run: Run, draws: list[list[float]]) -> NDArray[np.float64]:
    """Seconds from the writing of each event until the chart that shows it is drawn."""
    shown = [(at, newest) for at, newest in draws if newest]
    written = [event.time for event in run.read(0)[0] if shown[0][1] < event.time <= shown[-1][1]]
    return np.array([next(at for at, newest in shown if newest >= moment) - moment for moment in written])


@pytest.mark.thorough
def test_the_line_above_says_where_the_run_is(site: Site, watched: Watched, engine: Engine) -> None:
    open_live(site, watched.page, engine.run)
    told = watched.page.locator(".st-key-where").inner_text()
    for part in ("running", "transfer", "step 1 of 1", "epoch", "of 200", "3,210 images/s", "0:42 left", "CPU"):
        assert part in told, told


@pytest.mark.thorough
def test_smoothing_leaves_the_raw_lines_faintly_there(site: Site, watched: Watched, engine: Engine) -> None:
    page = watched.page
    open_live(site, page, engine.run)
    faint = """[...document.querySelectorAll(".st-key-curves .scatterlayer .trace")]
      .filter((node) => Number(getComputedStyle(node).opacity) === 0.3).length"""
    page.locator(".st-key-curves_training label").click()  # ten values a second, while validation gives one
    page.wait_for_function("() => document.querySelectorAll('.st-key-curves .scatterlayer .trace').length >= 3")
    assert page.evaluate(faint) == 0
    page.get_by_role("slider").press("ArrowRight")
    page.wait_for_function(f"() => {faint} >= 1")
    engine.stop()
    assert page.locator(".st-key-curves .scatterlayer .trace").count() >= 2 * page.evaluate(faint)
    watched.is_clean()


@pytest.mark.thorough
def test_reloading_attaches_again(site: Site, watched: Watched, engine: Engine) -> None:
    open_live(site, watched.page, engine.run)
    watched.page.reload()
    watched.page.wait_for_selector(".live-plot .scatterlayer path.js-line")
    assert engine.run.id in watched.page.url
    assert not engine.run.state().status.is_over
    watched.is_clean()


SHIFTED = """() => {
  window.shifted = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shifted += entry.value; }))
    .observe({ type: "layout-shift" });
}"""


@pytest.mark.thorough
def test_the_end_of_a_run_moves_nothing(site: Site, watched: Watched, engine: Engine) -> None:
    """What it came to stands where what was known so far stood; the line about what goes on says that it is over."""
    page = watched.page
    open_live(site, page, engine.run)
    engine.stop()
    engine.point()
    page.wait_for_selector(".st-key-points")
    wait_until_drawn(page)
    page.wait_for_timeout(1500)
    page.evaluate(SHIFTED)
    engine.run.emit(RunFinished())
    page.wait_for_selector(".st-key-closing")
    page.wait_for_selector(".st-key-where >> text=finished")
    wait_until_drawn(page)
    page.wait_for_timeout(1500)
    assert page.evaluate("window.shifted") < 0.02


@pytest.mark.thorough
def test_cancel_is_acknowledged_within_a_second(site: Site, watched: Watched, engine: Engine) -> None:
    """The figure is for a calm machine; a busy one is given four times as long."""
    page = watched.page
    with engine.run.hold():  # as a worker does, so that the cancellation waits for it
        open_live(site, page, engine.run)
        wait_until_drawn(page)
        began = time.monotonic()
        page.get_by_role("button", name="Cancel").click()
        page.wait_for_selector("text=Stopping …")
        took = time.monotonic() - began
        print(f"cancel acknowledged after {took:.2f} s")
        assert took <= 4 * slowness()
        assert engine.run.cancel_requested()
        engine.stop()
    site.workspace.cancel(engine.run.id)
    page.wait_for_selector(".st-key-where >> text=cancelled")
    assert engine.run.state().status is Status.CANCELLED
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    watched.is_clean()
