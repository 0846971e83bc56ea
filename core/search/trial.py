"""A trial: the values that were tried, the run that tried them, and what it came to on the validation images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from core.comparison.speed import conditions
from core.options import Value
from core.state import Status
from core.summary import IMMUTABLE, RunSummary

TrialState = Literal["running", "finished", "failed", "cut"]
StatusName = Literal["checking", "running", "resting", "finished", "refused", "cancelled", "failed"]


class Trial(BaseModel):
    """`accuracy` is the last model's on the validation images, `teacher` that of the first model of the chain, both as
    shares of 1; `latency` in milliseconds, `noisy` where the machine was busy, timed on `processor` in `runtime`, which
    is a name with its version; `unlike`: one of these is another than the search's first trial was timed on. `why` says
    why it failed or was cut early."""

    model_config = IMMUTABLE

    number: int
    run: str
    values: dict[str, Value]
    state: TrialState = "running"
    why: str = ""
    step: int | None = None
    accuracy: float | None = None
    teacher: float | None = None
    bytes: int | None = None
    latency: float | None = None
    noisy: bool = False
    processor: str = ""
    runtime: str = ""
    unlike: bool = False
    seconds: float | None = None

    @property
    def is_measured(self) -> bool:
        """Whether it can be compared."""
        return self.state == "finished" and self.accuracy is not None and self.bytes is not None

    @property
    def timed_on(self) -> str:
        """The processor and the runtime, as far as they are known."""
        return f"{self.processor} ({self.runtime})" if self.processor and self.runtime else self.processor

    def is_timed_as(self, other: Trial) -> bool:
        """Whether both were timed on one kind of machine in one version of a runtime, as far as that is known."""
        pairs = ((self.processor, other.processor), (self.runtime, other.runtime))
        return all(mine == theirs for mine, theirs in pairs if mine and theirs)

    def lost(self, teacher: float | None) -> float | None:
        """Points of percent of validation accuracy below `teacher`; negative where it is better."""
        if self.accuracy is None or teacher is None:
            return None
        return round(100 * (teacher - self.accuracy), 6)


class Progress(BaseModel):
    """Where a search stands: `cause` says why it ended, `error` what was refused; `spent` seconds it has worked."""

    model_config = IMMUTABLE

    status: StatusName = "checking"
    cause: str = ""
    error: dict[str, str] | None = None
    trials: tuple[Trial, ...] = ()
    spent: float = 0.0
    importance: dict[str, dict[str, float]] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be tried unless a person asks for it."""
        return self.status in ("finished", "refused", "cancelled", "failed")

    @property
    def teacher(self) -> float | None:
        """The best validation accuracy of a first model: what a loss is measured against."""
        return max((t.teacher for t in self.trials if t.state == "finished" and t.teacher is not None), default=None)


def placed(trial: Trial, trials: Sequence[Trial]) -> Trial:
    """The trial that follows `trials`, with whether it was timed as the first of them was, as far as that is known."""
    first = next((each for each in trials if each.processor), trial)
    return trial.model_copy(update={"unlike": not trial.is_timed_as(first)})


def outcome(trial: Trial, summary: RunSummary) -> Trial:
    """The trial with what its run measured, once that is over."""
    told = {"seconds": summary.lasted}
    last = max(summary.points, key=lambda point: point.step, default=None)
    if summary.status is not Status.FINISHED or last is None:
        why = (summary.error or {}).get("message") or summary.cause or f"the run is {summary.status.value}"
        return trial.model_copy(update={**told, "state": "failed", "why": why})
    first = min(summary.points, key=lambda point: point.step)
    latency, where = last.latency_ms, conditions(last, summary.environment)
    measured = {
        "state": "finished",
        "step": last.step,
        "accuracy": last.judged,
        "bytes": last.bytes,
        "latency": latency.p50 if latency else None,
        "noisy": bool(latency and latency.noisy),
        "processor": where.processor,
        "runtime": " ".join(filter(None, (where.runtime, where.runtime_version))),
        "teacher": first.judged if first is not last else None,
    }
    return trial.model_copy(update=told | measured)
