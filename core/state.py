"""The state of a run, folded from its events and never stored: status, points, curves, warnings, cause of an end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from core.comparison.gap import gap_recovered
from core.events import (
    AnyEvent,
    ArtifactSaved,
    DataLoaded,
    Measured,
    Progress,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunPaused,
    RunQueued,
    RunResumed,
    RunStalled,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from core.points import Point
from core.statistics.chance import Chance

DAY = 86400.0  # seconds
WORK = (Progress, Measured, ArtifactSaved, StepStarted, StepFinished, Warned, RunFinished)  # from workers only
Line = tuple[int, int, str, str]  # step, seed, kind of work, control
Place = tuple[str, int, str, int]  # role, step, name, seed
RESTED = 2.0  # seconds; shorter gaps between two workers of a run are not reported


class Status(StrEnum):
    """The status of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STALLED = "stalled"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen unless a person asks for it."""
        return self in {Status.FINISHED, Status.FAILED, Status.CANCELLED, Status.INTERRUPTED}


@dataclass(frozen=True)
class StepState:
    """A step that has begun; `seconds` is None until it has ended, `curve` is its progress without repeated parts,
    `notes` are what it reported at its end."""

    step: int
    stage: str
    method: str
    name: str
    epochs: int
    started: float
    reused: str | None = None
    seconds: float | None = None
    curve: tuple[Progress, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunState:
    """A snapshot of a run; times are seconds since 1970, None if the event has not happened.

    `strikes` counts the interruptions caused by the run itself since it last made new progress; `furthest` is the most
    progress ever reported on each line of work. `damaged` counts unreadable lines of the log, `missing` the sequence
    numbers that are not in it. `clock_moved` is True once the clock went back, or forward by a day, during work.

    `worked` is the time spent on the run in seconds, up to `working_since`, which is None while no worker is at it.
    `environment` is that of the last start, `origins` that of each measured point, by its place.

    `stops` counts all interruptions; `stopped_by` and `stopped_code` describe the last one. `data` is the content hash
    of the dataset, empty if the log does not say.
    """

    name: str = ""
    status: Status = Status.QUEUED
    steps: tuple[StepState, ...] = ()
    measured: tuple[Measured, ...] = ()
    artifacts: tuple[ArtifactSaved, ...] = ()
    warnings: tuple[Warned, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    origins: Mapping[Place, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    error: Mapping[str, str] | None = None
    details: str = ""
    cause: str = ""
    cause_code: str = ""
    stops: int = 0
    stopped_by: str = ""
    stopped_code: str = ""
    queued: float | None = None
    started: float | None = None
    finished: float | None = None
    worked: float = 0.0
    working_since: float | None = None
    last_event: float | None = None
    last_progress: Progress | None = None
    seq: int = -1
    strikes: int = 0
    damaged: int = 0
    furthest: Mapping[Line, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    clock_moved: bool = False
    chance: Chance | None = None
    missing: int = 0
    data: str = ""

    @property
    def lost(self) -> int:
        """The known number of lost log lines; 0 if the log is intact."""
        return max(self.damaged, self.missing)

    def durations(self, now: float | None = None) -> tuple[float, float]:
        """Seconds worked, and seconds from the first start to the end, or to `now` for a running run."""
        begin = self.started or 0.0
        until = now if self.finished is None or not self.status.is_over else self.finished
        running = max((now or 0.0) - self.working_since, 0.0) if self.working_since is not None and now else 0.0
        return self.worked + running, max((until or begin) - begin, 0.0)

    @property
    def points(self) -> tuple[Point, ...]:
        """The points in the order of their steps, with the spread over the seeds measured so far."""
        found = sorted((self._placed(m) for m in self.measured if m.role == "point"), key=lambda point: point.step)
        spread = (point.with_replicas(self._replicas(point)) for point in found)
        return tuple(self._above_chance(self._beside_its_twin(point)) for point in spread)

    @property
    def controls(self) -> tuple[Point, ...]:
        """The controls of the recipe's own seed, with the spread over the seeds measured so far."""
        found = sorted((m for m in self.measured if m.role == "control"), key=lambda m: (m.point.step, m.seed))
        grouped: dict[tuple[int, str], list[Point]] = {}
        for m in found:
            grouped.setdefault((m.point.step, m.point.name), []).append(self._placed(m))
        return tuple(self._above_chance(own.with_replicas(others)) for own, *others in grouped.values())

    @property
    def curves(self) -> dict[int, tuple[Progress, ...]]:
        """The progress of each step that has begun, by step."""
        return {step.step: step.curve for step in self.steps}

    @property
    def lasted(self) -> float | None:
        """Seconds from the start to the end or the newest event; None before the start, or if the clock was moved."""
        end = self.finished if self.finished is not None else self.last_event
        if self.started is None or end is None or self.clock_moved or end < self.started:
            return None
        return end - self.started

    def _placed(self, m: Measured) -> Point:
        """The point with its own environment, where any point was measured in another one than the last start's."""
        several = any(origin != self.environment for origin in self.origins.values())
        return m.point.in_environment(self.origins.get(place(m), {})) if several else m.point

    def _replicas(self, point: Point) -> tuple[Point, ...]:
        twins = (m.point for m in self.measured if m.role == "replica")
        return tuple(twin for twin in twins if twin.step == point.step and twin.name == point.name)

    def _above_chance(self, point: Point) -> Point:
        """The point with the chance level of the run's images, if that is known."""
        return point if self.chance is None else point.model_copy(update={"chance": self.chance})

    def _beside_its_twin(self, point: Point) -> Point:
        """The point with the gain from its teacher in the receipt, if there is a control without a teacher."""
        gap = gap_recovered(self.measured, point.step)
        return point if gap is None else point.model_copy(update={"receipt": {**point.receipt, "gap_recovered": gap}})


def fold(events: Iterable[AnyEvent], state: RunState | None = None) -> RunState:
    """The state after `events`, from the beginning or from `state`."""
    state = state or RunState()
    for batch in _runs_of_progress(events):
        state = _progressed(state, batch) if isinstance(batch, list) else _applied(state, batch)
    return state


def _runs_of_progress(events: Iterable[AnyEvent]) -> Iterable[AnyEvent | list[Progress]]:
    """Groups neighbouring Progress events of one step, so that a curve of 10,000 is copied once, not 10,000 times."""
    batch: list[Progress] = []
    for event in events:
        if batch and not (isinstance(event, Progress) and event.step == batch[0].step):
            yield batch
            batch = []
        if isinstance(event, Progress):
            batch.append(event)
        else:
            yield event
    if batch:
        yield batch


def _applied(state: RunState, event: AnyEvent) -> RunState:
    status = Status.RUNNING if state.status is Status.STALLED else state.status
    moved = state.clock_moved or _clock_moved(state, event)
    state = replace(_timed(state, event), status=status, seq=event.seq, last_event=event.time, clock_moved=moved)
    match event:
        case RunQueued():
            return replace(state, status=Status.QUEUED, queued=event.time, finished=None, error=None, details="")
        case RunStarted():
            environment = MappingProxyType(dict(event.environment))
            started = state.started if state.started is not None else event.time
            return replace(
                state, status=Status.RUNNING, started=started, environment=environment, cause="", cause_code=""
            )
        case DataLoaded():
            return replace(state, chance=event.chance, data=event.content_hash)
        case RunPaused():
            return replace(state, status=Status.PAUSED, cause=event.reason, cause_code=event.code)
        case RunStalled():
            return replace(state, status=Status.STALLED)
        case RunResumed():
            return replace(state, status=Status.RUNNING, cause="", cause_code="")
        case RunFinished():
            return replace(state, status=Status.FINISHED, finished=event.time, cause="", cause_code="")
        case RunCancelled():
            return replace(state, status=Status.CANCELLED, finished=event.time)
        case RunFailed():
            error = MappingProxyType(dict(event.error))
            return replace(state, status=Status.FAILED, finished=event.time, error=error, details=event.details)
        case RunInterrupted():
            strikes = state.strikes + event.strike
            state = replace(state, status=Status.INTERRUPTED, finished=event.time, cause=event.cause, strikes=strikes)
            return _interrupted(state, event)
        case Warned():
            kept = tuple(
                w for w in state.warnings if (w.step, w.code, w.message) != (event.step, event.code, event.message)
            )
            return replace(state, warnings=(*kept, event))
        case ArtifactSaved():
            return replace(state, artifacts=(*(a for a in state.artifacts if a.path != event.path), event))
        case StepStarted():
            return _step_started(state, event)
        case StepFinished():
            known = any(s.step == event.step and s.seconds is not None for s in state.steps)
            done = (
                replace(s, seconds=event.seconds, notes=event.notes) if s.step == event.step else s for s in state.steps
            )
            return replace(state, steps=tuple(done), strikes=state.strikes if known else 0)
        case Measured():
            return _measured(state, event)
        case Progress():
            return _progressed(state, [event])


def _clock_moved(state: RunState, event: AnyEvent) -> bool:
    """Whether the clock shows less than at the previous event, or a day more during work.

    Processes that write in turn may differ by the time between reading the clock and writing, so a second is tolerated.
    """
    if state.last_event is None:
        return False
    passed = event.time - state.last_event
    return passed < -1.0 or (state.status is Status.RUNNING and passed > DAY and isinstance(event, WORK))


def _interrupted(state: RunState, event: RunInterrupted) -> RunState:
    stop = {"cause_code": event.code, "stopped_by": event.cause, "stopped_code": event.code, "details": event.details}
    return replace(state, stops=state.stops + 1, **stop)  # type: ignore[arg-type]


def _timed(state: RunState, event: AnyEvent) -> RunState:
    """Adds up the time worked: up to a pause or the end, or up to the last event of a worker that died."""
    began, last = state.working_since, state.last_event
    match event:
        case RunStarted() | RunInterrupted():
            until = last
        case RunPaused() | RunFinished() | RunCancelled() | RunFailed():
            until = event.time
        case _:
            return state
    spent = max(until - began, 0.0) if began is not None and until is not None else 0.0
    since = event.time if isinstance(event, RunStarted) else None
    return replace(state, worked=state.worked + spent, working_since=since)


def place(event: Measured) -> Place:
    """The place of a point; measured again after a resume, it replaces the point with the same place."""
    return event.role, event.point.step, event.point.name, event.seed


def _measured(state: RunState, event: Measured) -> RunState:
    kept = tuple(m for m in state.measured if place(m) != place(event))
    strikes = state.strikes if len(kept) < len(state.measured) else 0
    origins = MappingProxyType({**state.origins, place(event): state.environment})
    return replace(state, measured=(*kept, event), origins=origins, strikes=strikes)


def _step_started(state: RunState, event: StepStarted) -> RunState:
    """Records the start of a step; a resumed step keeps its curve."""
    before = next((s for s in state.steps if s.step == event.step), None)
    curve = before.curve if before else ()
    now = StepState(
        event.step, event.stage, event.method, event.name, event.epochs, event.time, event.reused, curve=curve
    )
    steps = sorted((*(s for s in state.steps if s.step != event.step), now), key=lambda s: s.step)
    return replace(state, steps=tuple(steps), strikes=state.strikes if before else 0)


def _progressed(state: RunState, batch: list[Progress]) -> RunState:
    last = batch[-1]
    told = _latest(state, batch)
    steps = [replace(s, curve=extend(s.curve, batch)) if s.step == last.step else s for s in state.steps]
    furthest = dict(state.furthest)
    for progress in batch:
        line = (progress.step, *_line(progress))
        furthest[line] = max(furthest.get(line, (-1, -1)), _position(progress))
    further = furthest != state.furthest
    status = Status.RUNNING if state.status is Status.STALLED else state.status
    strikes = 0 if further else state.strikes
    moved = state.clock_moved or any(
        _clock_moved(replace(state, last_event=before.time), after) for before, after in pairwise(batch)
    )
    return replace(
        state,
        furthest=MappingProxyType(furthest),
        clock_moved=moved or _clock_moved(state, batch[0]),
        status=status,
        steps=tuple(steps),
        last_progress=told,
        seq=last.seq,
        last_event=last.time,
        strikes=strikes,
    )


def _latest(state: RunState, batch: list[Progress]) -> Progress | None:
    """The newest progress; while a step goes on, its own rather than that of a control made beside it."""
    if all(step.seconds is not None for step in state.steps):
        return batch[-1]
    return next((progress for progress in reversed(batch) if not progress.control), state.last_progress)


def extend(curve: tuple[Progress, ...], batch: Iterable[Progress]) -> tuple[Progress, ...]:
    """The curve with `batch` appended; what a resumed run repeats replaces what was there before."""
    points = list(curve)
    reached: dict[tuple[int, str, str], tuple[int, int]] = {_line(p): _position(p) for p in points}
    for progress in batch:
        line, position = _line(progress), _position(progress)
        if reached.get(line, (-1, -1)) >= position:
            points = [p for p in points if _line(p) != line or _position(p) < position]
        points.append(progress)
        reached[line] = position
    return tuple(points)


def _line(progress: Progress) -> tuple[int, str, str]:
    return progress.seed, progress.what, progress.control


def _position(progress: Progress) -> tuple[int, int]:
    return progress.epoch, progress.batch
