"""A class at a glance: what everybody has done, read from the corners."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from core.classroom.hand_in import lessons_of
from core.classroom.learners import Class, Learner
from core.classroom.places import class_of
from core.errors import UserError
from core.points import Point
from core.runs import RunSummary, Status
from core.search.store import Search, searches
from core.storage.sealed import read_sealed
from core.workspace import Workspace


@dataclass(frozen=True)
class Predicted:
    """A prediction in a lesson, or the answer to its question (`is_answer`), the `place`-th from 1: a number in the
    lesson's unit, or the `choice`-th answer from 1; `runs` are the learner's own runs of that lesson."""

    lesson: str
    place: int
    number: float | None
    choice: int | None
    runs: tuple[str, ...]
    is_answer: bool = False


@dataclass(frozen=True)
class Corner:
    """A learner, their runs (newest first) and their predictions."""

    learner: Learner
    workspace: Workspace
    runs: tuple[RunSummary, ...]
    predictions: tuple[Predicted, ...]

    @cached_property
    def run_ids(self) -> frozenset[str]:
        return frozenset(run.id for run in self.runs)

    @property
    def going(self) -> tuple[RunSummary, ...]:
        """The runs that wait or are at work."""
        return tuple(run for run in self.runs if not run.status.is_over)

    @property
    def searching(self) -> list[Search]:
        """The searches that go on, which begin further runs."""
        return [one for one in searches(self.workspace) if not one.progress().is_over]

    @property
    def points(self) -> tuple[tuple[RunSummary, Point], ...]:
        """Each measured point with its run; controls are left out."""
        return tuple((run, point) for run in self.runs for point in run.points)


def everybody(root: Path) -> list[Corner]:
    """All learners in the order of joining, and all hand-ins; last those who were taken out and whose runs stay."""
    members = Class(root)
    stay = [one for one in members.removed() if not one.in_trash]
    return [corner_of(one, Workspace(class_of(root) / one.id)) for one in (*members.learners(), *stay)]


def corner_of(learner: Learner, workspace: Workspace) -> Corner:
    """What is in a learner's corner."""
    return Corner(learner, workspace, tuple(workspace.runs()), tuple(_predictions(workspace.path)))


def copies(corner: Corner, everyone: Iterable[Corner]) -> list[tuple[RunSummary, tuple[str, ...]]]:
    """The runs of a corner that somebody else has too, with their nicknames: a run's id is made once, so one of them
    has it from the other."""
    others = [one for one in everyone if not _is_of_one(one.learner, corner.learner)]
    having = ((run, [one.learner.nickname for one in others if run.id in one.run_ids]) for run in corner.runs)
    return [(run, tuple(dict.fromkeys(names))) for run, names in having if names]


def _is_of_one(one: Learner, other: Learner) -> bool:
    """Whether two corners are of one person: a learner and their hand-in, which has another nickname where they were
    renamed."""
    same = (one.handed_by or one.id) == (other.handed_by or other.id)
    return same or one.nickname == other.nickname


def stop_all(corner: Corner) -> int:
    """Cancels the searches of a corner that go on and its runs that wait or are at work; how many runs."""
    for search in corner.searching:
        search.cancel()
    for run in corner.going:
        with suppress(UserError):  # it was deleted meanwhile
            corner.workspace.cancel(run.id)
    return len(corner.going)


def take_out(root: Path, learner_id: str, *, to_trash: bool) -> None:
    """Takes a learner out of the class and stops what goes on in their corner; raises UserError as `Class.remove`."""
    removed = Class(root).remove(learner_id, to_trash=to_trash)
    stop_all(corner_of(removed, Workspace(class_of(root) / learner_id)))


def last_point(corner: Corner, run_id: str) -> Point | None:
    """The last point of the run with that id, if it finished."""
    found = next((run for run in corner.runs if run.id == run_id and run.status is Status.FINISHED), None)
    return found.points[-1] if found and found.points else None


def _predictions(corner: Path) -> Iterator[Predicted]:
    """What the page Learn kept; a file that is not as it was written is left out."""
    for path in lessons_of(corner):
        with suppress(OSError, ValueError, TypeError, AttributeError):
            kept = json.loads(read_sealed(path))
            runs = tuple(str(one) for one in dict(kept.get("runs", {})).values())
            for place, told in sorted(dict(kept.get("predictions", {})).items()):
                number, choice = told.get("number"), told.get("choice")
                shown = None if choice is None else int(choice) + 1
                yield Predicted(path.stem, int(place) + 1, None if number is None else float(number), shown, runs)
            for place, chosen in sorted(dict(kept.get("answers", {})).items()):
                yield Predicted(path.stem, int(place) + 1, None, int(chosen) + 1, (), is_answer=True)
