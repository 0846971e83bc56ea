"""The Design page in a browser: whatever one scrolls to, preview and the one Start stay in sight, and the key works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page

from core.workspace import Workspace
from tests.browser import SLOW, Site, wait_until_drawn
from tests.dashboard.test_design import ANSWER

pytestmark = pytest.mark.usefixtures("attended")
START = ".st-key-design_start button:visible"  # Streamlit draws one with a help twice, for two widths
MAIN = "[data-testid=stMain]"
LOW = [(1280, 480), (420, 560)]  # windows that the preview is too tall for
SIZES = [*LOW, *(pytest.param(*size, marks=pytest.mark.slow) for size in ((1280, 900), (700, 800), (420, 900)))]
UNCOVERED = """(node) => {
  const box = node.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth && node.contains(top);
}"""


@contextmanager
def opened(site: Site, chromium: Browser, width: int, height: int) -> Iterator[Page]:
    """The page with an answered preview."""
    context = chromium.new_context(viewport={"width": width, "height": height}, locale="en-US")
    context.set_default_timeout(SLOW)
    page = context.new_page()
    page.goto(site.at("design"))
    wait_until_drawn(page)
    page.wait_for_selector(START)
    answer(site.workspace)
    page.wait_for_selector("[data-testid=stTable]", state="attached")
    wait_until_drawn(page)
    yield page
    context.close()


def answer(workspace: Workspace) -> None:
    for name in workspace.job_ids():
        if not workspace.job(name).done():
            workspace.job(name).answer(ANSWER)


def scroll(page: Page, to: float) -> None:
    page.locator(MAIN).evaluate("(node, to) => node.scrollTo(0, to * (node.scrollHeight - node.clientHeight))", to)
    page.wait_for_timeout(100)


@pytest.mark.thorough
@pytest.mark.parametrize(("width", "height"), SIZES, ids=str)
def test_start_and_its_cost_stay_in_sight(site: Site, chromium: Browser, width: int, height: int) -> None:
    with opened(site, chromium, width, height) as page:
        assert page.locator(START).count() == 1, "one Start, not one for each width"
        for to in (0, 0.1, 0.35, 0.6, 0.85, 1):
            scroll(page, to)
            assert page.locator(START).evaluate(UNCOVERED), f"Start is out of sight at {to}"
            cost = page.locator(".st-key-design_bar p").filter(has_text="≈ 82.0\u00a0kB · 0:55")
            assert cost.evaluate(UNCOVERED), f"size and time are out of sight at {to}"
            if width > 640:
                table = page.locator(".st-key-design_preview p").filter(has_text="before any training")
                assert table.evaluate(UNCOVERED), f"the preview is out of sight at {to}"
        bar = page.locator(".st-key-design_bar").bounding_box()
        last = page.locator(".st-key-design_add button:visible").last.bounding_box()
        assert bar
        assert last
        aside = bar["x"] > last["x"] + last["width"]
        assert aside or last["y"] + last["height"] <= bar["y"] or width <= 640
        main = page.locator(MAIN)
        assert main.evaluate("node => node.scrollWidth - node.clientWidth") <= 0, "it scrolls sideways"


@pytest.mark.thorough
def test_nothing_ends_below_the_bar(site: Site, chromium: Browser) -> None:
    with opened(site, chromium, 420, 700) as page:
        scroll(page, 1)
        bar = page.locator(".st-key-design_bar").bounding_box()
        note = page.locator(".st-key-design_preview p").last.bounding_box()
        assert bar
        assert note
        assert note["y"] + note["height"] <= bar["y"], "the page's last words can be read"


@pytest.mark.thorough
@pytest.mark.parametrize(("width", "height"), [(1280, 900), pytest.param(420, 900, marks=pytest.mark.slow)], ids=str)
def test_the_key_starts_one_run_from_anywhere(site: Site, chromium: Browser, width: int, height: int) -> None:
    with opened(site, chromium, width, height) as page:
        before = len(site.workspace.run_ids())
        page.locator("[class*=_name_text] input").fill(f"by key at {width}")
        page.keyboard.press("Tab")
        wait_until_drawn(page)
        scroll(page, 0.5)
        page.keyboard.press("Control+Enter")
        page.wait_for_url(re.compile("/live"))
        wait_until_drawn(page)
        assert len(site.workspace.run_ids()) == before + 1
