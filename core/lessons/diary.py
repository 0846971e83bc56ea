"""What a learner did in a lesson: predictions, answers and own runs; kept as `lessons/kept/<id>.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import chain
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from core.errors import UserError
from core.files import lock, make_folder, remove_file, safe_join, write_atomic
from core.lessons.blocks import Predict
from core.lessons.lesson_files import FOLDER
from core.lessons.parse import ID
from core.lessons.references import Condition, Reference
from core.lessons.trained import with_training
from core.runs import Run, RunSummary, Status
from core.storage.sealed import DamagedError, read_sealed, seal
from core.workspace import Workspace

KEPT = "kept"
LARGEST = 2**20  # bytes
CLOSE = 1e-9  # of a slider's range: by how much a number may miss its ends
Place = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}$")]  # of a block among those of its kind
MOST = 1000  # choices or answers
Number = Annotated[int, Field(ge=0, lt=MOST)]  # of an answer


class Prediction(BaseModel):
    """A number in its unit, or the place of a choice from 0; `made` is in seconds since 1970. `asked` tells which
    figures decide the question that it answers (`asked_of`); empty in earlier diaries."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    number: float | None = None
    choice: Annotated[int, Field(lt=MOST)] | None = None
    made: float = 0.0
    asked: str = Field(default="", max_length=64)


class Diary(BaseModel):
    """Predictions and answers by the place of their block among those of its kind, from 0; runs by their key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    lesson: str
    predictions: Mapping[Place, Prediction] = {}
    answers: Mapping[Place, Number] = {}
    runs: Mapping[str, str] = {}

    def predicted(self, place: int, prediction: Prediction) -> Diary:
        """With a prediction; the first one stays, since the results were seen after it."""
        return self.model_copy(update={"predictions": {str(place): prediction, **self.predictions}})

    def unpredicted(self, place: int) -> Diary:
        """Without the prediction of a place."""
        return self.model_copy(update={"predictions": {p: m for p, m in self.predictions.items() if p != str(place)}})

    def answered(self, place: int, answer: int) -> Diary:
        return self.model_copy(update={"answers": {**self.answers, str(place): answer}})

    def started(self, key: str, run_id: str) -> Diary:
        return self.model_copy(update={"runs": {**self.runs, key: run_id}})


def read_diary(workspace: Workspace, lesson_id: str) -> Diary:
    """The diary of a lesson, empty if there is none; raises UserError `damaged_diary` if it is not what was written."""
    path = safe_join(workspace.path / FOLDER / KEPT, f"{_checked(lesson_id)}.json")
    try:
        if path.stat().st_size > LARGEST:
            raise DamagedError("it is too large")
        found = Diary.model_validate_json(read_sealed(path))
        if found.lesson != lesson_id:
            raise DamagedError("it is that of another lesson")
    except FileNotFoundError:
        return Diary(lesson=lesson_id)
    except (OSError, DamagedError, ValidationError) as error:
        fix = "Begin the lesson again; runs are kept."
        raise UserError("damaged_diary", "lesson", lesson_id, "what this program kept", fix) from error
    return found


def write_diary(workspace: Workspace, diary: Diary) -> None:
    """Keeps a diary; raises OSError if the disk fails."""
    folder = make_folder(workspace.path / FOLDER / KEPT)
    path = safe_join(folder, f"{_checked(diary.lesson)}.json")
    write_atomic(path, seal(diary.model_dump_json(exclude_defaults=True).encode()))


def change_diary(workspace: Workspace, diary: Diary, change: Callable[[Diary], Diary]) -> Diary:
    """Keeps a change of what is kept now, which another page may have written after `diary` was read; of `diary` where
    what is kept is damaged. Raises OSError if the disk fails."""
    with lock(make_folder(workspace.path / FOLDER / KEPT) / "diary.lock"):
        try:
            now = read_diary(workspace, diary.lesson)
        except UserError:
            now = diary
        changed = change(now)
        write_diary(workspace, changed)
    return changed


def fits(asked: Predict, made: Prediction) -> bool:
    """Whether a prediction answers that question: one of its choices, or a number that its slider has. Another may have
    been asked in its place, in another version of the lesson."""
    if made.asked and made.asked != asked_of(asked):
        return False
    if asked.choices:
        return made.choice is not None and 0 <= made.choice < len(asked.choices)
    room = CLOSE * (asked.high - asked.low)
    return made.number is not None and asked.low - room <= made.number <= asked.high + room


def asked_of(asked: Predict) -> str:
    """What tells a question from another, in every language: the figures that decide it."""
    decided = [_named(asked.about)] if asked.about else [_compared(choice.when) for choice in asked.choices]
    return sha256("\n".join(decided).encode()).hexdigest()[:16]


def _compared(when: Condition | None) -> str:
    if when is None:
        return "otherwise"
    left, right = (f"{s.factor:g} {_named(s.reference)} {s.offset:g}" for s in (when.left, when.right))
    return f"{left} {when.sign} {right}"


def _named(reference: Reference | None) -> str:
    return f"{reference.run}.{reference.point}.{reference.metric}" if reference else ""


def forget_diary(workspace: Workspace, lesson_id: str) -> None:
    """Deletes a diary, if there is one; the runs stay."""
    with suppress(FileNotFoundError):
        remove_file(safe_join(workspace.path / FOLDER / KEPT, f"{_checked(lesson_id)}.json"))


def own_runs(workspace: Workspace, diary: Diary) -> dict[str, Run]:
    """The learner's own runs that are still there, by key."""
    found = {}
    for key, run_id in diary.runs.items():
        with suppress(UserError):
            found[key] = workspace.run(run_id)
    return found


def own_results(runs: Mapping[str, Run]) -> dict[str, RunSummary]:
    """The results of those that finished."""
    summaries = {key: run.summary() for key, run in runs.items()}
    finished = {key: summary for key, summary in summaries.items() if summary.status is Status.FINISHED}
    curves = {key: chain.from_iterable(step.curve for step in runs[key].state().steps) for key in finished}
    return {key: with_training(summary, curves[key]) for key, summary in finished.items()}


def _checked(lesson_id: str) -> str:
    if not ID.fullmatch(lesson_id):
        raise UserError("unknown_lesson", "lesson", lesson_id, "the id of a lesson", "Choose one on the page Learn.")
    return lesson_id
