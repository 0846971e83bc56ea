"""Inspect in a real browser: a click on a cell shows its images, the address keeps it, nobody else is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.workspace import Workspace
from tests.browser import Site, Watched, wait_until_drawn
from tests.dashboard.test_inspect import measured

PLOT = ".st-key-inspect_matrix .live-plot"


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A dashboard on a run whose answers are kept."""
    store = Workspace.open_or_create(tmp_path_factory.mktemp("inspected"))
    measured(store)
    yield Site(store, ensure_dashboard(store))
    stop_dashboard(store)


def click(page: Page, row: int, column: int, classes: int = 3) -> None:
    """On a cell of the matrix."""
    box = page.locator(f"{PLOT} .nsewdrag").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * (column + 0.5) / classes, box["y"] + box["height"] * (row + 0.5) / classes
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.wait_for_timeout(200)
    page.mouse.click(x, y)


@pytest.mark.thorough
def test_a_click_on_a_cell_shows_its_images(inspected: Site, watched: Watched) -> None:
    page = watched.page
    page.goto(inspected.at(f"inspect?run={inspected.workspace.run_ids()[0]}"))
    page.wait_for_selector(f"{PLOT} .main-svg")
    wait_until_drawn(page)
    for row, column, told in ((1, 2, "dog taken for owl: 2 images"), (1, 1, "dog recognised: 2 images")):
        click(page, row, column)
        page.wait_for_selector(f"text={told}")
        page.wait_for_url(f"**cell={row}%2C{column}**")
        wait_until_drawn(page)
    page.go_back()
    page.wait_for_selector("text=dog taken for owl: 2 images")
    page.reload()
    page.wait_for_selector("text=dog taken for owl: 2 images")
    watched.is_clean()


@pytest.mark.thorough
def test_from_trade_offs_to_inspect(inspected: Site, watched: Watched) -> None:
    page, run = watched.page, inspected.workspace.run_ids()[0]
    page.goto(inspected.at(f"tradeoffs?sel={run}:1"))
    page.get_by_role("link", name="Inspect").last.click()
    page.wait_for_selector(f"{PLOT} .main-svg")
    page.wait_for_selector("text=1 answer turned right, 3 turned wrong")
    assert Path(page.url.split("?")[0]).name == "inspect"
    watched.is_clean()
