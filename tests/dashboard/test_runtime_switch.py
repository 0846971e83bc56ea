"""Trade-offs in a browser: the figures of a further runtime, and what is told of points that have none in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import SLOW, Site, violations, wait_until_drawn
from tests.dashboard.test_tradeoffs import two_runtimes

WORDS = {
    "en": (
        "Runtime",
        "median latency (ms), in OpenVINO",
        "1 point was not measured in OpenVINO, and so not drawn.",
        "not measured in OpenVINO",
        "Receipt",
        "Numbers in OpenVINO",
    ),
    "zh": (
        "运行时",
        "延迟中位数（毫秒），OpenVINO",
        "有 1 个点没有画出，因为没有在 OpenVINO 中测量。",
        "未在 OpenVINO 中测量",
        "凭据",
        "OpenVINO 中的数值",
    ),
}


@pytest.fixture(
    params=[
        (1280, "light", "en"),
        pytest.param((420, "dark", "zh"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def seen(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[tuple[Page, str]]:
    width, theme, language = request.param
    context = chromium.new_context(viewport={"width": width, "height": 1400}, color_scheme=theme)
    context.set_default_timeout(SLOW)
    yield context.new_page(), language
    context.close()


@pytest.mark.thorough
def test_the_runtime_is_chosen_and_every_place_says_so(site: Site, seen: tuple[Page, str]) -> None:
    (page, language), run = seen, two_runtimes(site.workspace)
    choice, axis, missing, without, receipt, numbers = WORDS[language]
    page.goto(site.at(f"tradeoffs?lang={language}&samples=0&x=p50&sel={run.id}:0,{run.id}:1"))
    wait_until_drawn(page)
    choose(page, choice)
    expect(page.get_by_text(axis).first).to_be_visible()
    expect(page.get_by_text(missing)).to_be_visible()
    expect(page.get_by_test_id("stMarkdownContainer").filter(has_text=without).first).to_be_visible()
    expect(page).to_have_url(re.compile("runtime=openvino"))
    assert violations(page) == []
    page.get_by_role("button", name=receipt).first.click()
    expect(page.get_by_text(numbers, exact=True)).to_be_visible()


def choose(page: Page, name: str) -> None:
    box: Any = page.get_by_role("combobox", name=re.compile(rf"{name}\b|{name}$"))
    box.first.click()
    page.get_by_role("option", name="OpenVINO", exact=True).click()
    wait_until_drawn(page)
