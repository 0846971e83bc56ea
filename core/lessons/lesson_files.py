"""The lessons there are: those that come with the program, and a person's own: `lessons/<id>.<language>.md`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from core.assets import LESSONS
from core.errors import UserError, UserErrors, shorten
from core.files import make_folder, remove_file, safe_join, write_atomic
from core.lessons.blocks import Lesson
from core.lessons.parse import ID, LANGUAGES, parse_lesson
from core.lessons.places import line_of_text
from core.lessons.split import LARGEST
from core.lessons.tables import wrong
from core.workspace import Workspace

FOLDER = "lessons"
MOST = 200  # own lessons
OWN = re.compile(rf"({ID.pattern})\.({'|'.join(LANGUAGES)})\.md")


@cache
def bundled(language: str, folder: Path = LESSONS) -> tuple[Lesson, ...]:
    """The lessons that come with the program in a language, in their order, read once per process; raises UserErrors if
    one of them is wrong."""
    return tuple(parse_lesson(path.read_bytes()) for path in sorted((folder / language).glob("*.md")))


def own(workspace: Workspace, language: str) -> list[Lesson]:
    """A person's own lessons, those in that language first; of one in both languages that one. A file that became
    unreadable is left out, see `broken`."""
    found: dict[str, Lesson] = {}
    for name in sorted(_files(workspace), key=lambda name: not name.endswith(f".{language}.md")):
        try:
            lesson = _read(workspace, name)
        except (UserErrors, OSError):
            continue
        found.setdefault(lesson.id, lesson)
    return list(found.values())


def broken(workspace: Workspace) -> list[str]:
    """The names of own lessons that can no longer be read: what they refer to is gone, or the file was changed."""
    found = []
    for name in _files(workspace):
        try:
            _read(workspace, name)
        except (UserErrors, OSError):
            found.append(name)
    return found


def add(workspace: Workspace, data: bytes) -> Lesson:
    """Takes a lesson file into the workspace, in place of an earlier one of the same id and language.

    Raises UserErrors if it is no lesson, has the id of one that comes with the program, or there are too many; the
    workspace is then as it was. Raises OSError if the disk fails.
    """
    lesson = parse_lesson(data, workspace.catalog())
    if any(lesson.id == known.id for language in LANGUAGES for known in bundled(language)):
        fix = "Give the lesson an id of its own."
        line = line_of_text(lesson.text, 1, lesson.id)
        raise UserErrors([wrong("id_taken", line, lesson.id, "an id that no bundled lesson has", fix)])
    name = f"{lesson.id}.{lesson.language}.md"
    known = _files(workspace)
    if name not in known and len(known) >= MOST:
        raise UserErrors([_error("lesson_too_many", str(len(known)), f"at most {MOST} lessons", "Delete one first.")])
    write_atomic(safe_join(make_folder(workspace.path / FOLDER), name), lesson.text.encode())
    return lesson


def remove(workspace: Workspace, name: str) -> None:
    """Deletes an own lesson's file; raises UserErrors for any other name."""
    if OWN.fullmatch(name) is None or name not in _files(workspace):
        raise UserErrors([_error("unknown_lesson", shorten(name), "a lesson of this workspace", "Choose one.")])
    remove_file(safe_join(workspace.path / FOLDER, name))


def _error(code: str, given: str, allowed: str, fix: str) -> UserError:
    return UserError(code, "lesson", given, allowed, fix)


def _read(workspace: Workspace, name: str) -> Lesson:
    path = safe_join(workspace.path / FOLDER, name)
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    return parse_lesson(data, workspace.catalog())


def _files(workspace: Workspace) -> list[str]:
    try:
        paths = list((workspace.path / FOLDER).iterdir())
    except OSError:
        return []
    return sorted(path.name for path in paths if OWN.fullmatch(path.name) and path.is_file() and not path.is_symlink())
