"""Text as nobody should type it, opened in a real browser on every page: shown as typed, and nothing else happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Dialog, Page

from core.runs import Run
from core.text.escaping import JOINER
from tests.browser import SLOW, Site, Watched, wait_until_drawn
from tests.dashboard import hostile
from tests.dashboard.hostile import HOST, LONG, TEXTS

TRAPS = """(host) => {
  const asks = ["src", "href", "srcset", "srcdoc", "action", "formaction", "style", "xlink:href", "data", "poster"];
  const bad = (a) => a.name.startsWith("on")
    || (asks.includes(a.name) && (a.value.includes(host) || /^\\s*javascript:/i.test(a.value)));
  return [...document.querySelectorAll("body *")]
    .filter((node) => [...node.attributes].some(bad) || ["IFRAME", "OBJECT", "EMBED"].includes(node.tagName))
    .map((node) => node.outerHTML.slice(0, 200));
}"""
MARKED = """() => [...document.querySelectorAll(
  "[data-testid=stMarkdownContainer] :is(img, h1, blockquote, ol, pre, table, hr, del, .katex)")]
  .filter((node) => !node.closest("[data-testid=stTable]")).map((node) => node.outerHTML.slice(0, 200))"""
COPIED = """() => {
  const data = new DataTransfer();
  document.getSelection().selectAllChildren(document.querySelector("[data-testid=stMain]"));
  document.dispatchEvent(new ClipboardEvent("copy", { clipboardData: data, bubbles: true, cancelable: true }));
  return [document.getSelection().toString(), data.getData("text/plain")];
}"""
MOST = 4  # popovers opened on a page: those of further points hold the same
INVISIBLE = re.compile("[\u2060\u2068\u2069]")


@pytest.fixture
def quiet(context: BrowserContext) -> Iterator[Watched]:
    """A page on which a dialog is a failure."""
    watched = Watched(context.new_page()).listen()

    def refuse(dialog: Dialog) -> None:
        watched.errors.append(dialog.message)
        dialog.dismiss()

    watched.page.on("dialog", refuse)
    yield watched
    watched.is_clean()


def texts(page: Page) -> str:
    """All that is written on the page, without what keeps it apart, on one line."""
    return one_line(page.locator("body").inner_text())


def one_line(text: str) -> str:
    return INVISIBLE.sub("", " ".join(text.split()))


def opened(site: Site, page: Page, path: str) -> None:
    """Visits a page, opens every fold and popover of it, one after another, and looks for traps."""
    page.goto(site.at(path))
    page.set_default_timeout(SLOW)
    page.wait_for_selector("[data-testid=stMain] h2")
    wait_until_drawn(page)
    looked_at(page, path)
    folds = page.locator("[data-testid=stExpander] details:not([open]) > summary")
    for _ in range(folds.count()):
        folds.filter(visible=True).first.click()
        wait_until_drawn(page)
    looked_at(page, path)
    popovers = page.locator("[data-testid=stPopover] button:not([disabled])").filter(visible=True)
    for place in range(min(popovers.count(), MOST)):
        popovers.nth(place).click()
        page.wait_for_selector("[data-testid=stPopoverBody]")
        wait_until_drawn(page)
        looked_at(page, path)
        page.keyboard.press("Escape")
        page.wait_for_selector("[data-testid=stPopoverBody]", state="detached")


def looked_at(page: Page, path: str) -> None:
    assert page.evaluate(TRAPS, HOST) == [], path
    assert page.evaluate(MARKED) == [], path


def visited(runs: dict[str, Run]) -> Iterator[str]:
    """Every page, Live in every state, Trade-offs with points picked, Design with a recipe and with a refused one."""
    yield ""
    yield from (f"live?run={run.id}" for run in runs.values())
    finished = runs["finished"].id
    picked = ",".join(f"{finished}:{step}" for step in range(4))
    yield f"tradeoffs?sel={picked}&base={finished}:0&mb=1&x=bytes&y=accuracy"
    yield f"design?from={finished}"
    yield "design"


def all_at_once() -> str:
    return " ".join(TEXTS)


@pytest.mark.slow
def test_hostile_text_is_shown_as_typed_and_nothing_happens(site: Site, quiet: Watched) -> None:
    """All of it in one text, in every place, on every page: no request, no element and no dialog comes of it."""
    text = all_at_once()
    runs = hostile.furnish(site.workspace, text)
    page = quiet.page
    for path in visited(runs):
        opened(site, page, path)
    page.goto(site.at(f"live?run={runs['finished'].id}"))
    wait_until_drawn(page)
    page.wait_for_selector("[data-testid=stAlert]")
    assert one_line(f"{text} was skipped") in texts(page)
    chosen, copied = page.evaluate(COPIED)
    assert JOINER in chosen, "what keeps a text from becoming a link is on the page"
    assert copied == chosen.replace(JOINER, ""), "and does not leave it"
    page.goto(site.at())
    wait_until_drawn(page)
    assert one_line(text) in texts(page)


EACH = [pytest.param(text, id=str(number)) for number, text in enumerate((*TEXTS, LONG))]


@pytest.mark.slow
@pytest.mark.parametrize("text", EACH)
def test_each_hostile_text_alone(site: Site, quiet: Watched, text: str) -> None:
    """A mark at the beginning of a text means another thing than inside of it."""
    for run_id in site.workspace.run_ids():
        site.workspace.delete(run_id)
    runs = hostile.furnish(site.workspace, text)
    for path in visited(runs):
        opened(site, quiet.page, path)
    quiet.page.goto(site.at(f"live?run={runs['finished'].id}"))
    quiet.page.wait_for_selector("[data-testid=stAlert]")
    wait_until_drawn(quiet.page)
    assert one_line(f"{text} was skipped") in texts(quiet.page)


@pytest.mark.slow
def test_a_long_text_makes_no_page_wider(site: Site, quiet: Watched) -> None:
    runs = hostile.furnish(site.workspace, LONG)
    quiet.page.set_viewport_size({"width": 420, "height": 900})
    for path in visited(runs):
        quiet.page.goto(site.at(path))
        quiet.page.wait_for_selector("[data-testid=stMain] h2")
        wait_until_drawn(quiet.page)
        main = quiet.page.locator("[data-testid=stMain]")
        assert main.evaluate("node => node.scrollWidth - node.clientWidth") <= 0, path


@pytest.mark.slow
def test_the_report_of_hostile_text_asks_for_nothing(site: Site, quiet: Watched, tmp_path: Path) -> None:
    runs = hostile.furnish(site.workspace, all_at_once())
    finished = runs["finished"].id
    page = quiet.page
    page.goto(site.at(f"tradeoffs?sel={finished}:0,{finished}:1&y=accuracy"))
    wait_until_drawn(page)
    with page.expect_download() as told:
        page.get_by_role("button", name="Report", exact=True).first.click()
    report = tmp_path / "report.html"
    told.value.save_as(report)
    page.goto(report.as_uri())
    page.wait_for_selector(".main-svg")
    assert page.evaluate(TRAPS, HOST) == []
    assert page.locator("img, iframe").count() == 0
    quiet.foreign = [url for url in quiet.foreign if not url.startswith("file:")]
