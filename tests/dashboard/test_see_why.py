"""From a finished run to why it answers so, in a browser: Trade-offs, Inspect, a cell, an image, Grad-CAM, Try it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.processes.workers import ensure_supervisor, stop_supervisor
from core.workspace import Workspace
from dashboard.launch import demo_text
from tests.browser import Site, Watched, violations, wait_until_drawn
from tests.core.conftest import finished_run
from tests.dashboard.test_inspect_by_click import PLOT, click
from tests.dashboard.test_tryit_seen import stroke

pytestmark = pytest.mark.slow
FIRST = 180_000  # milliseconds for an answer that waits for a worker to load torch
TIMED = re.compile(r"\d+ runs, \d threads?")
SHARE = re.compile(r".+ · .*\d.%$")  # a class and its probability
CALM, BUSY = 2.0, 10.0  # seconds for a first useful picture on a calm machine, and on one that others use as well


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A dashboard with its supervisor, and the demo as it is shipped, run to its end."""
    workspace = Workspace.open_or_create(tmp_path_factory.mktemp("demo"))
    finished_run(workspace, demo_text())
    ensure_supervisor(workspace)
    yield Site(workspace, ensure_dashboard(workspace))
    stop_dashboard(workspace)
    stop_supervisor(workspace)


def timed(what: str, act: Callable[[], None], shown: Callable[[], None]) -> None:
    """How long it takes from an act of a person until something useful is shown, once everything is warm."""
    began = time.perf_counter()
    act()
    shown()
    seconds = time.perf_counter() - began
    print(f"{what}: {seconds:.1f} s (calm: {CALM} s)")
    assert seconds < BUSY, what


def maps(page: Page) -> Locator:
    return page.locator(".st-key-inspect_saliency_maps img")


def is_accessible(page: Page, where: str) -> None:
    """The mouse rests on nothing: what Streamlit shows under it is Streamlit's own."""
    page.mouse.move(1, 1)
    wait_until_drawn(page)
    page.wait_for_function("() => !document.querySelector('[data-stale=true]')")
    assert violations(page) == [], where


def test_from_the_demo_to_why(demo: Site, watched: Watched, tmp_path: Path) -> None:
    page, run = watched.page, demo.workspace.run_ids()[0]
    page.goto(demo.at(f"tradeoffs?sel={run}:2"))
    wait_until_drawn(page)
    page.locator("[data-testid=stMain] a[href*=inspect][href*='point=2']").first.click()
    page.wait_for_selector(f"{PLOT} .main-svg", timeout=FIRST)
    is_accessible(page, "confusion")
    _a_cell(page)
    _an_image(page)
    _heavy_ones(page)
    _try_it(page, tmp_path)
    watched.is_clean()


def _a_cell(page: Page) -> None:
    """Its images; those of the second come from a worker that is there already."""
    pictures = page.locator(".st-key-inspect_images_cell_0_0 img")
    click(page, 0, 0, classes=10)
    expect(pictures.first).to_be_visible(timeout=FIRST)
    other = page.locator(".st-key-inspect_images_cell_1_1 img")
    timed("images of a cell", lambda: click(page, 1, 1, classes=10), lambda: expect(other.first).to_be_visible())
    is_accessible(page, "a cell")


def _an_image(page: Page) -> None:
    """Where both networks look in it; the next one asks workers that have them open."""
    page.get_by_role("button", name="Why?").first.click()
    expect(maps(page)).to_have_count(3, timeout=FIRST)
    expect(page.get_by_text("Made by Grad-CAM")).to_be_visible()
    assert "view=saliency" in page.url
    assert "place=" in page.url
    before = maps(page).nth(1).get_attribute("src")
    tile = page.locator(".picture-row button[aria-pressed=false]").nth(5)

    def shown() -> None:
        expect(maps(page)).to_have_count(3)
        expect(maps(page).nth(1)).not_to_have_attribute("src", before or "")

    timed("Grad-CAM of an image", tile.click, shown)
    is_accessible(page, "where it looks")
    page.get_by_role("radio", name="Attention rollout").click()
    expect(page.get_by_text("a network here consists of convolutions")).to_be_visible()


def _heavy_ones(page: Page) -> None:
    """They tell how far they are, and stop."""
    page.get_by_role("radio", name="Robustness").click()
    page.get_by_role("button", name="Corrupt the images and measure").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("You stopped it.")).to_be_visible(timeout=FIRST)
    is_accessible(page, "robustness")


def _try_it(page: Page, folder: Path) -> None:
    """A drawing and a photo, put to all models."""
    answers = page.get_by_text(TIMED)
    page.get_by_role("link", name="Try it").first.click()
    expect(answers.first).to_be_visible(timeout=FIRST)
    page.get_by_text("Draw", exact=True).first.click()
    expect(page.locator(".draw-pad canvas")).to_be_visible()
    shares = page.get_by_text(SHARE)
    expect(shares).to_have_count(0)  # nothing is drawn yet
    timed("answers to a drawing", lambda: stroke(page), lambda: expect(shares.first).to_be_visible())
    is_accessible(page, "a drawing")
    page.get_by_text("Upload", exact=True).first.click()
    expect(shares).to_have_count(0)
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "photo.jpg")
    field = page.locator(".st-key-tryit_upload input[type=file]")
    given = str(folder / "photo.jpg")
    timed("answers to a photo", lambda: field.set_input_files(given), lambda: expect(shares.first).to_be_visible())
    expect(page.get_by_text("photo.jpg")).to_be_visible()
    is_accessible(page, "a photo")
