"""What is wrong with stored files and what to do about it, as far as it shows without reading large files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from core.runs import Run
from core.state import RunState
from core.storage.sealed import read_sealed
from core.summary import Notes, RunSummary


class Condition(StrEnum):
    """The state of a stored file."""

    OK = "ok"
    DAMAGED = "damaged"  # the content is not what was written
    CHANGED = "changed"  # a recipe that differs from the one the run was launched with
    MISSING = "missing"
    UNSEALED = "unsealed"  # looks whole, but was written without a hash to check it
    UNKNOWN = "unknown"  # nothing says whether it belongs here

    @property
    def is_bad(self) -> bool:
        """Whether something should be done about it."""
        return self in (Condition.DAMAGED, Condition.CHANGED, Condition.MISSING)


@dataclass(frozen=True)
class Finding:
    """The state of a file, given by its path in the workspace, and what to do; `what` is the kind of finding, by which
    a page chooses its words, `count` the number of lost lines, `corner` the learner of a class in whose corner it
    lies."""

    file: str
    state: Condition
    fix: str = ""
    what: str = ""
    count: int = 0
    corner: str = ""

    def to_json(self) -> dict[str, str]:
        """As in the output of `condenser verify --json`."""
        told = {"file": self.file, "state": self.state.value, "fix": self.fix}
        return {**told, "corner": self.corner} if self.corner else told


LOG_LOST = "The run's summary is used instead, if there is one. Otherwise resume the run: it is measured again."
RECIPE = "The run keeps the recipe it was launched with. To run the changed recipe, start a new run."
RECIPE_LOST = "The run keeps the recipe it was launched with; nothing needs to be done."
RECIPE_GONE = "There is no copy of it: write it again if you want to resume or export the run."
RESULT = "It is rebuilt from the run's log when the run is next shown."
RESULT_LOST = "The log is incomplete, so it cannot be rebuilt. Copy the run's folder again, or run the recipe again."
NOTES = "Save the run's name, tags and note again."


def of_run(run: Run, state: RunState) -> tuple[Finding, ...]:
    """What is wrong with the small files of a run (log, recipe, summary, notes); fast enough for a page."""
    return (*_log(run, state), *_recipe(run), *_documents(run, state))


def _log(run: Run, state: RunState) -> Iterator[Finding]:
    if not run.has_log():
        if run.artifacts.is_dir() or not run.result.exists():  # otherwise the run came as recipe and result alone
            yield Finding("events.jsonl", Condition.MISSING, LOG_LOST, "log_gone")
    elif state.seq < 0 and not state.lost:
        yield Finding("events.jsonl", Condition.DAMAGED, LOG_LOST, "log_gone")
    elif state.lost:
        fix = f"Lines lost: {state.lost}. " + (
            "The run's summary is used instead." if state.status.is_over else "What they recorded is measured again."
        )
        yield Finding("events.jsonl", Condition.DAMAGED, fix, "log_damaged", state.lost)


def _recipe(run: Run) -> Iterator[Finding]:
    launched = run.launched()
    try:
        text = (run.folder / "recipe.toml").read_bytes()
    except OSError:
        fix = RECIPE_LOST if launched else RECIPE_GONE
        yield Finding("recipe.toml", Condition.MISSING, fix, "recipe_gone" if launched else "recipe_lost")
        return
    if launched and text != launched.encode():
        yield Finding("recipe.toml", Condition.CHANGED, RECIPE, "recipe_changed")


def _documents(run: Run, state: RunState) -> Iterator[Finding]:
    if is_damaged(run, "result.json"):
        whole = run.has_log() and not state.lost
        yield Finding("result.json", Condition.DAMAGED, RESULT if whole else RESULT_LOST, "result_damaged")
    if is_damaged(run, "notes.json"):
        yield Finding("notes.json", Condition.DAMAGED, NOTES, "notes_damaged")
    elif not (run.folder / "notes.json").exists() and run.artifacts.is_dir() and run.notes().model_fields_set:
        yield Finding("notes.json", Condition.MISSING, NOTES, "notes_damaged")


def is_damaged(run: Run, name: str) -> bool:
    """Whether a document of the run exists but is not as it was written."""
    model = Notes if name == "notes.json" else RunSummary
    try:
        model.model_validate_json(read_sealed(run.folder / name))
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return False
