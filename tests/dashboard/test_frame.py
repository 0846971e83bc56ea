"""The frame as it is seen: name, titles, one Stop, a ring around what has the focus, buttons of charts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from core.events import RunFinished
from tests.browser import SLOW, Site, Watched, wait_until_drawn
from tests.dashboard.test_pages import PAGES, address, make

TITLES = {
    "home": "Condenser",
    "data": "Data · Condenser",
    "backbones": "Backbones · Condenser",
    "design": "Design · Condenser",
    "live": "Live · Condenser",
    "search": "Search · Condenser",
    "tradeoffs": "Trade-offs · Condenser",
    "inspect": "Inspect · Condenser",
    "tryit": "Try it · Condenser",
    "learn": "Learn · Condenser",
    "glossary": "Glossary · Condenser",
}
RING = """() => {
  const channels = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = channels(getComputedStyle(document.querySelector("[data-testid=stApp]")).backgroundColor);
  for (let up = document.activeElement, i = 0; up && i < 6; up = up.parentElement, i += 1) {
    const style = getComputedStyle(up);
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) continue;
    const [brighter, darker] = [light(channels(style.outlineColor)), light(ground)].sort((x, y) => y - x);
    return (brighter + 0.05) / (darker + 0.05);
  }
  return 0;
}"""


@pytest.fixture(scope="module")
def furnished(site: Site) -> Site:
    make(site.workspace, RunFinished())
    return site


def visit(site: Site, page: Page, name: str) -> None:
    page.goto(site.at(f"{address(name)}?lang=en"))
    page.wait_for_selector("[data-testid=stMain] h2")
    wait_until_drawn(page)
    if name in ("live", "tradeoffs"):
        page.wait_for_selector(".live-plot[data-drawn]")


@pytest.mark.thorough
def test_the_name_is_in_the_navigation_and_in_every_title(furnished: Site, watched: Watched) -> None:
    page = watched.page
    for name in PAGES:
        visit(furnished, page, name)
        page.wait_for_function(f"() => document.title === {TITLES[name]!r}")
        named = "[...document.querySelectorAll('header *')].map((node) => getComputedStyle(node, '::after').content)"
        assert '"Condenser"' in page.evaluate(named), name
        expect(page.locator("[data-testid=stHeaderLogo]")).to_be_visible()
    watched.is_clean()


@pytest.mark.thorough
@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_what_has_the_focus_wears_a_ring(furnished: Site, chromium: Browser, theme: Any) -> None:
    """At least 2 px, of a contrast of 3 or more with the page."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme=theme)
    context.set_default_timeout(SLOW)
    page = context.new_page()
    for name in PAGES:
        visit(furnished, page, name)
        page.locator("[data-testid=stMain] h2").first.click()
        found = []
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.closest('[data-testid=stMain]') !== null"):
                found.append((page.evaluate(RING), page.evaluate("document.activeElement.outerHTML.slice(0, 160)")))
        assert found, name
        assert [each for each in found if each[0] < 3] == [], name
    context.close()


@pytest.mark.thorough
def test_live_has_no_second_stop(furnished: Site, watched: Watched) -> None:
    page = watched.page
    run = make(furnished.workspace, steps=1)
    page.goto(furnished.at(f"live?run={run.id}"))
    page.wait_for_selector(".live-plot[data-drawn]")
    wait_until_drawn(page)
    expect(page.get_by_role("button", name=re.compile("stop|cancel", re.IGNORECASE))).to_have_count(1)
    page.evaluate("document.body.append(Object.assign(document.createElement('i'), {id: 'probe'}))")
    page.evaluate("document.querySelector('#probe').dataset.testid = 'stStatusWidget'")
    assert page.evaluate("getComputedStyle(document.querySelector('#probe')).display") == "none"
    furnished.workspace.cancel(run.id)


@pytest.mark.thorough
def test_a_charts_buttons_are_in_reach(furnished: Site, watched: Watched) -> None:
    """The chart is a group with words; in it are buttons with names, which keys press; the drawing is hidden."""
    page = watched.page
    visit(furnished, page, "live")
    for chart in page.locator(".live-plot").all():
        assert chart.get_attribute("role") == "group"
        buttons = chart.get_by_role("button")
        assert buttons.count() >= 4
        assert all(button.get_attribute("aria-label") for button in buttons.all())
        told = chart.aria_snapshot()
        assert "img" not in told
        assert "button" in told
    button = page.locator(".live-plot").first.get_by_role("button", name="Move")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.live-plot')._fullLayout.dragmode === 'pan'")
    watched.is_clean()
