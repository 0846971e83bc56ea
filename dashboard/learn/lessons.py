"""Which lessons this workspace has, and which one an address names."""

from __future__ import annotations

from dataclasses import replace

from core.lessons import lesson_files
from core.lessons.blocks import Lesson
from dashboard.classroom import teachers_own
from dashboard.session import Language, put_query, raw_query, workspace


def find(asked: str, language: Language) -> Lesson | None:
    """The lesson of an id, in that language if there is one; None for any other text."""
    return next((lesson for lesson in every(language) if lesson.id == asked), None)


def every(language: Language) -> list[Lesson]:
    """The bundled lessons, those that a teacher lends, then a person's own."""
    mine = [replace(lesson, own=True) for lesson in lesson_files.own(workspace(), language)]
    return [*lesson_files.bundled(language), *teachers_own.lessons(language), *mine]


def presenting() -> bool:
    """Whether the address asks for the presenter's view."""
    return raw_query("present") is not None


def leave() -> None:
    """Back to the list."""
    put_query("lesson", None)
    put_query("present", None)


def open_lesson(lesson_id: str) -> None:
    put_query("lesson", lesson_id)
