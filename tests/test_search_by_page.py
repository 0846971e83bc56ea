"""From Design to a search, its answer and back, in a browser, in both languages and on a telephone; with workers that
answer by the planted problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.processes.searches import stop_drivers
from core.processes.workers import end, ensure_supervisor, read_identity, stop_supervisor
from core.search import store
from core.workspace import Workspace
from tests.browser import SLOW, Site, Watched, wait_until_drawn
from tests.core.search.planted import RECIPE
from tests.core.search.test_driver import FAKE

WORDS = {"en": ("Pruning ratio", "Pruning ratio (step 3, Prune)"), "zh": ("剪枝率", "第 3 步（剪枝）：剪枝率")}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    workspace = Workspace.open_or_create(tmp_path / "w")
    ensure_supervisor(workspace, worker=FAKE)
    yield Site(workspace, ensure_dashboard(workspace))
    stop_dashboard(workspace)
    stop_drivers(workspace)
    stop_supervisor(workspace)
    for run_id in workspace.run_ids():
        if who := read_identity(workspace.run(run_id).worker):
            end(who, kill=True)


def vary(page: Page, word: str, name: str) -> None:
    """Sets the knob to vary, and three trials."""
    page.locator(".st-key-vary summary").click()
    field = page.locator(".st-key-vary_knobs input")
    field.click()
    field.fill(word)
    page.locator("[role=option]").filter(has_text=name).first.click()
    page.wait_for_selector(f".st-key-vary_knobs [title='{name}'], .st-key-vary_knobs :text('{name}')")
    page.wait_for_selector(".st-key-vary_find button:enabled:visible")
    field.press("Escape")
    wait_until_drawn(page)
    trials = page.locator(".st-key-vary_trials input")
    trials.fill("3")
    trials.press("Enter")
    wait_until_drawn(page)


@pytest.mark.slow
@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("zh", 420)])
def test_a_search_from_design_to_its_answer_and_back(site: Site, chromium: Browser, language: str, width: int) -> None:
    run = site.workspace.create_run(RECIPE)
    run.cancel()
    context = chromium.new_context(viewport={"width": width, "height": 900}, locale="en-US")
    context.set_default_timeout(2 * SLOW)
    watched = Watched(context.new_page()).listen()
    page = watched.page
    page.goto(site.at(f"design?from={run.id}&lang={language}"))
    wait_until_drawn(page)
    vary(page, *WORDS[language])
    page.locator(".st-key-vary_find button:visible").click()
    page.wait_for_selector(".st-key-search_answer")
    (search_id,) = store.search_ids(site.workspace)
    made = store.find(site.workspace, search_id)
    page.wait_for_selector(".st-key-search_history", timeout=4 * SLOW)
    page.wait_for_function("() => !document.querySelector('.st-key-search_cancel')", timeout=4 * SLOW)
    assert made.progress().status == "finished"
    assert len(made.progress().trials) == 3
    main = "() => document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(main), "the page is wider than the window"
    page.locator(".st-key-search_apply button:visible").click()
    page.wait_for_selector(".st-key-design_start")
    assert "/design" in page.url
    watched.is_clean()
    context.close()
