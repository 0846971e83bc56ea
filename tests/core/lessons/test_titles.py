"""A lesson's title by its id, in the language of the page, wherever the lesson lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.lessons import lesson_files
from core.lessons.titles import Title, title_of, titled
from core.workspace import Workspace
from tests.core.lessons.written import LESSON


@pytest.mark.parametrize("language", ["en", "zh"])
def test_bundled_ones_have_their_number_and_the_languages_title(language: str) -> None:
    for number, lesson in enumerate(lesson_files.bundled(language), 1):
        assert title_of(lesson.id, language) == Title(lesson.title, number)


def test_own_ones_are_found_where_they_lie(tmp_path: Path) -> None:
    mine, teachers = Workspace.open_or_create(tmp_path / "a"), Workspace.open_or_create(tmp_path / "b")
    assert title_of("tiny", "en", mine, teachers) is None
    lesson_files.add(teachers, LESSON.encode())
    assert title_of("tiny", "en", mine, teachers) == Title("A tiny lesson", None)
    assert titled("tiny", "zh", mine, teachers) == "A tiny lesson", "there is no Chinese one"
    lesson_files.add(teachers, LESSON.replace('"en"', '"zh"').replace("A tiny lesson", "小课").encode())
    assert titled("tiny", "zh", mine, teachers) == "小课"
    assert titled("tiny", "en", mine, teachers) == "A tiny lesson"
    lesson_files.add(teachers, LESSON.replace("A tiny lesson", "Another title").encode())
    assert titled("tiny", "en", mine, teachers) == "Another title"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "x" * 500, "a/b", "tiny\0"])
def test_what_is_no_id_is_no_path(tmp_path: Path, name: str) -> None:
    store = Workspace.open_or_create(tmp_path)
    assert title_of(name, "en", store) is None
    assert titled(name, "en", store) == name


def test_a_damaged_one_has_no_title(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "tiny.en.md").write_bytes(b"\xff no header")
    assert titled("tiny", "en", store) == "tiny"
    (tmp_path / "lessons" / "tiny.zh.md").symlink_to(tmp_path / "lessons" / "elsewhere.md")
    assert titled("tiny", "zh", store) == "tiny"
