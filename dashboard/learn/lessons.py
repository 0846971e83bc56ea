"""Which lessons this workspace has, and which one an address names."""

from __future__ import annotations

from dataclasses import replace

from core.lessons import lesson_files
from core.lessons.blocks import Lesson
from dashboard.classroom import teachers_own
from dashboard.session import LANGUAGES, Language, put_query, raw_query, workspace


def find(asked: str, language: Language) -> Lesson | None:
    """The lesson of an id, in that language if there is one; None for any other text."""
    return next((lesson for lesson in every(language) if lesson.id == asked), None)


def every(language: Language) -> list[Lesson]:
    """The bundled lessons, those that a teacher lends, then a person's own. Of two of one id the person's own is meant,
    as with datasets; of a bundled one that."""
    mine = [replace(lesson, own=True) for lesson in lesson_files.own(workspace(), language)]
    bundled = lesson_files.bundled(language)
    known = {lesson.id for lesson in bundled}
    own = [lesson for lesson in mine if lesson.id not in known]
    lent = [one for one in teachers_own.lessons(language) if one.id not in known | {lesson.id for lesson in own}]
    return [*bundled, *lent, *own]


def overtaken() -> list[str]:
    """The files of own lessons whose id a bundled lesson has, which came with a later version."""
    bundled = {lesson.id for spoken in LANGUAGES for lesson in lesson_files.bundled(spoken)}
    mine = {(one.id, one.language) for spoken in LANGUAGES for one in lesson_files.own(workspace(), spoken)}
    return [f"{name}.{spoken}.md" for name, spoken in sorted(mine) if name in bundled]


def presenting() -> bool:
    """Whether the address asks for the presenter's view."""
    return raw_query("present") is not None


def leave() -> None:
    """Back to the list."""
    put_query("lesson", None)
    put_query("present", None)


def open_lesson(lesson_id: str) -> None:
    put_query("lesson", lesson_id)
