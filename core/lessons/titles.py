"""What a lesson is called, given its id: bundled ones, and those of the workspaces named."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError, UserErrors
from core.lessons import lesson_files
from core.lessons.parse import ID, LANGUAGES
from core.lessons.split import LARGEST, cut, decoded
from core.lessons.tables import Table
from core.workspace import Workspace

MOST = 256  # titles of own lessons that are remembered


class Title(NamedTuple):
    """A lesson's title in the language that was asked for, else in the one it has; `number` is its place among the
    bundled ones, from 1, None for an own lesson."""

    text: str
    number: int | None


def title_of(lesson_id: str, language: str, *stores: Workspace) -> Title | None:
    """The title of a bundled lesson, or of an own one of the first workspace that has it; None where none has."""
    for number, lesson in enumerate(lesson_files.bundled(language), 1):
        if lesson.id == lesson_id:
            return Title(lesson.title, number)
    if not ID.fullmatch(lesson_id):
        return None
    for store in stores:
        for spoken in sorted(LANGUAGES, key=lambda one: one != language):
            text = _own(store.path / lesson_files.FOLDER / f"{lesson_id}.{spoken}.md")
            if text:
                return Title(text, None)
    return None


def titled(lesson_id: str, language: str, *stores: Workspace) -> str:
    """The title, or the id of a lesson that is not here."""
    found = title_of(lesson_id, language, *stores)
    return lesson_id if found is None else found.text


def _own(path: Path) -> str:
    """The title in the header of a lesson file, read again only when it changed; empty where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return ""
    return _in_file(path, found.st_mtime_ns, found.st_size) if path.is_file() and not path.is_symlink() else ""


@lru_cache(MOST)
def _in_file(path: Path, changed: int, size: int) -> str:
    if size > LARGEST:
        return ""
    try:
        return Table.read("the header", cut(decoded(path.read_bytes())).header, 2).text("title", 80)
    except (UserError, UserErrors, OSError):
        return ""
