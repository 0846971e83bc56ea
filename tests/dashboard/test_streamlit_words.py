"""Streamlit's own words are put into the person's language, and are those that the installed Streamlit has."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import streamlit
from playwright.sync_api import expect

from dashboard.i18n import speaking, vocabulary
from dashboard.streamlit_words import table
from tests.browser import Site, Watched, wait_until_drawn

PLACE = re.compile(
    r"(?<=[a-z]): {name}$|(?<=exist)|{\w+}|\b1\b|(?<= )(?:result|option)s?\b(?!s? to)"
)  # and what has a plural
ENTER = re.compile(r"Press ({key}\+)?Enter to (apply|submit form)")  # put together of parts


RECIPE = """name = "No results"
dataset = "digits"
backbone = "resnet8"
[[steps]]
stage = "transfer"
method = "fine_tune"
"""


@cache
def scripts() -> str:
    """What the installed Streamlit runs in a browser."""
    folder = Path(streamlit.__file__).parent / "static" / "static" / "js"
    return "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.js"))


@pytest.mark.parametrize("said", vocabulary("en")["streamlit"].values())
def test_the_installed_streamlit_says_so(said: str) -> None:
    parts = ["Press ", "Enter to ", "submit form", "apply"] if ENTER.fullmatch(said) else PLACE.split(said)
    assert [part for part in parts if part.strip(" .") and part not in scripts()] == []


def test_nothing_is_put_into_what_it_is_already() -> None:
    with speaking("zh"):
        assert all(said != told for said, told in table().items())


@pytest.mark.thorough
def test_they_follow_the_language_and_leave_a_persons_words_alone(site: Site, watched: Watched) -> None:
    """A run is called what Streamlit says where a menu has nothing to choose."""
    site.workspace.create_run(RECIPE)
    page = watched.page
    page.goto(site.at("?lang=zh"))
    wait_until_drawn(page)
    expect(page.get_by_text("No results", exact=True)).to_have_count(1)
    page.goto(site.at("live?lang=zh"))
    wait_until_drawn(page)
    page.locator("[data-testid=stSelectbox] input").first.click()
    expect(page.get_by_role("option")).to_have_text(re.compile("^No results"))
    page.keyboard.type("qqqq")
    expect(page.get_by_role("option")).to_have_text("没有匹配项")
    page.goto(site.at("data?lang=zh"))
    wait_until_drawn(page)
    hint = page.locator("[data-testid=stFileUploaderDropzoneInstructions]").first
    expect(hint).to_contain_text("每个文件最大 200")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.get_by_text("EN", exact=True).click()
    expect(hint).to_contain_text("per file")
    assert page.locator("html").get_attribute("lang") == "en"
    watched.is_clean()
