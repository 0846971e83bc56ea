"""What a class predicts in a lesson: gathered from the diaries in the corners, each read again only when it changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.classroom.learners import Class, Learner
from core.classroom.places import class_of
from core.errors import UserError
from core.lessons.blocks import Predict
from core.lessons.diary import KEPT, Diary, fits, read_diary
from core.lessons.lesson_files import FOLDER
from core.workspace import Workspace

Stamp = tuple[int, int, int]  # of a file: when it was written, its size, its inode


@dataclass(frozen=True)
class Guess:
    """What somebody predicted: a `number` in the unit of the question, or the place of a `choice` from 0; `made` is in
    seconds since 1970."""

    learner: str
    nickname: str
    number: float | None
    choice: int | None
    made: float


@dataclass(frozen=True)
class Answers:
    """The predictions that count, the oldest first, and the learners who have made none.

    Counted apart: `late` ones, made after the answers were shown; `strange` ones, which do not fit the question, since
    they were made in another version of the lesson; `unread` diaries, which are damaged.
    """

    guesses: tuple[Guess, ...]
    missing: tuple[str, ...]
    late: int = 0
    strange: int = 0
    unread: int = 0

    @property
    def learners(self) -> int:
        """How many there are in the class."""
        return len(self.guesses) + len(self.missing) + self.late + self.strange + self.unread


class Poll:
    """The predictions of the class in the workspace at `root`. Hand-ins are of another day and are left out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._joined: tuple[int, tuple[Learner, ...]] = (-1, ())
        self._diaries: dict[Path, tuple[Stamp, Diary | None]] = {}

    def answers(self, lesson: str, place: int, asked: Predict, until: float | None = None) -> Answers:
        """The predictions in the `place`-th question of a lesson, from 0; those made after `until` are late."""
        guesses: list[Guess] = []
        missing: list[str] = []
        counts = {"late": 0, "strange": 0, "unread": 0}
        for learner, diary in self._read(lesson):
            made = None if diary is None else diary.predictions.get(str(place))
            if diary is None:
                counts["unread"] += 1
            elif made is None:
                missing.append(learner.nickname)
            elif not fits(asked, made):
                counts["strange"] += 1
            elif until is not None and made.made > until:
                counts["late"] += 1
            else:
                guesses.append(Guess(learner.id, learner.nickname, made.number, made.choice, made.made))
        return Answers(tuple(sorted(guesses, key=lambda one: one.made)), tuple(missing), **counts)

    def _read(self, lesson: str) -> Iterator[tuple[Learner, Diary | None]]:
        """Each learner with their diary of a lesson; None where it is damaged."""
        for learner in self._learners():
            corner = class_of(self.root) / learner.id
            path = corner / FOLDER / KEPT / f"{lesson}.json"
            stamp = _stamp(path)
            found = self._diaries.get(path)
            if found is None or found[0] != stamp:
                found = self._diaries[path] = (stamp, _diary(corner, lesson))
            yield learner, found[1]

    def _learners(self) -> Sequence[Learner]:
        """Who joined, read again when somebody did."""
        now = _stamp(class_of(self.root))[0]
        if now != self._joined[0]:
            self._joined = (now, tuple(one for one in Class(self.root).learners() if not one.proof))
        return self._joined[1]


def _diary(corner: Path, lesson: str) -> Diary | None:
    try:
        return read_diary(Workspace(corner), lesson)
    except UserError:
        return None


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return (-1, -1, -1)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
