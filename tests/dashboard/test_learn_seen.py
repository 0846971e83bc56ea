"""Learn in a browser: predict, act, reveal, in both languages; a lesson in Markdown is imported, run and shared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest
from playwright.sync_api import Page

from core.lessons.diary import read_diary
from core.lessons.lesson_files import bundled
from core.lessons.parse import parse_lesson
from core.lessons.prepared import kept
from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.processes.workers import stop_supervisor
from core.workspace import Workspace
from tests.browser import Site, Watched, violations, wait_until_drawn
from tests.core.lessons.written import LESSON

pytestmark = pytest.mark.slow
TOLD = {"en": "Measured for this lesson", "zh": "本课准备的测量结果"}
OWN = {"en": "On your own runs", "zh": "您自己的运行："}


@pytest.fixture
def classroom(tmp_path: Path) -> Iterator[Site]:
    """A dashboard of its own, whose supervisor starts with the first run."""
    workspace = Workspace.open_or_create(tmp_path / "workspace")
    yield Site(workspace, ensure_dashboard(workspace))
    stop_dashboard(workspace)
    stop_supervisor(workspace)


def body(page: Page) -> str:
    return page.inner_text("[data-testid=stMain]").replace("\u2060", "").replace("\u00a0", " ")


def predict(page: Page) -> None:
    page.locator("[class*=st-key-learn_predict_button] button").last.click()
    page.wait_for_selector(".st-key-learn_act")
    wait_until_drawn(page)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_is_seen_before_the_prediction_and_the_files_numbers_after(
    site: Site, watched: Watched, language: str
) -> None:
    found = next(lesson for lesson in bundled("zh" if language == "zh" else "en") if lesson.id == "pruning")
    files = (kept()[name] / "result.json" for name in found.runs["prune-fashion-raw[0.5]"].hashes)
    measured = f"{100 * mean(json.loads(p.read_text())['points'][1]['accuracy'] for p in files):.1f} %"
    page = watched.page
    page.goto(site.at(f"learn?lang={language}&lesson=pruning"))
    page.wait_for_selector("[class*=st-key-learn_predict_button] button")
    wait_until_drawn(page)
    if not read_diary(site.workspace, "pruning").predictions:
        assert measured not in body(page)
        assert page.locator(".st-key-learn_act").count() == 0
        handle = page.get_by_role("slider").first
        handle.focus()
        handle.press("ArrowLeft")
        wait_until_drawn(page)
        predict(page)
    page.wait_for_selector(f"text={TOLD[language]}")
    page.wait_for_function("() => document.querySelectorAll('.live-plot[data-drawn]').length >= 2")
    assert measured in body(page)
    assert violations(page) == []
    watched.is_clean()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_teachers_lesson_appears_runs_is_shared_and_imported_elsewhere(
    classroom: Site, watched: Watched, tmp_path: Path, language: str
) -> None:
    page, source = watched.page, LESSON.replace('language = "en"', f'language = "{language}"')
    (tmp_path / "tiny.md").write_text(source.replace("```claim", "```shell"))
    page.goto(classroom.at(f"learn?lang={language}"))
    field = page.locator(".st-key-learn_upload input[type=file]")
    field.set_input_files(str(tmp_path / "tiny.md"))
    page.wait_for_selector("text=shell")
    assert re.search(r"(Line|第) 58", body(page))
    (tmp_path / "whole.md").write_text(source)
    field.set_input_files(str(tmp_path / "whole.md"))
    page.wait_for_selector(".st-key-learn_card_tiny")
    with page.expect_download() as taken:
        page.locator(".st-key-learn_share_tiny button").click()
    shared = Path(taken.value.path()).read_bytes()
    assert parse_lesson(shared) == parse_lesson(source.encode())
    page.locator(".st-key-learn_open_tiny button").click()
    page.wait_for_selector("[class*=st-key-learn_predict_button] button")
    predict(page)
    page.locator(".st-key-learn_do button").click()
    page.wait_for_selector(f"text={OWN[language]}", timeout=200_000)
    run = classroom.workspace.run(read_diary(classroom.workspace, "tiny").runs["tiny[0.5]"])
    accuracy = run.summary().points[-1].accuracy
    assert accuracy is not None
    assert f"{100 * accuracy:.1f} %" in body(page)
    page.wait_for_selector(".live-plot[data-drawn]")
    watched.is_clean()
