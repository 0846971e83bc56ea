"""Restoring the state of a run with a damaged log from its summary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from core.events import AnyEvent, ArtifactSaved, Measured
from core.state import RunState, Status, place
from core.summary import RunSummary

LOG_LOST = (
    "Its log, events.jsonl, is missing, and the measurements with it. Resume the run: models that it had trained are "
    "taken from the cache and measured again."
)
SUMMARY_DAMAGED = (
    "Its summary, result.json, is damaged, and there is no log to rebuild it from. Copy the run's folder again, or run "
    "the recipe again."
)


def lost_between(events: Iterable[AnyEvent], before: int) -> int:
    """How many sequence numbers are missing in `events`, which follow the event numbered `before`."""
    lost = 0
    for event in events:
        lost += max(0, event.seq - before - 1)
        before = max(before, event.seq)
    return lost


def completed(state: RunState, stored: RunSummary) -> RunState:
    """`state`, folded from a log that may have lost lines, completed from the summary of an ended run."""
    lost = max(0, stored.events - state.seq - 1)
    if not (lost or state.damaged or state.missing) and (state.status.is_over or not stored.status.is_over):
        return state
    known, measured = {saved.path for saved in state.artifacts}, _measured(stored)
    origin = MappingProxyType(dict(stored.environment))
    saved = [
        ArtifactSaved(step=s.step, path=s.path, bytes=s.bytes, sha256=s.sha256)
        for s in stored.files
        if s.path not in known
    ]
    return replace(
        state,
        status=state.status if state.status.is_over and not lost else stored.status,
        measured=measured,
        origins=MappingProxyType({place(each): origin for each in measured if origin}),
        artifacts=(*state.artifacts, *saved),
        environment=state.environment or origin,
        error=MappingProxyType(dict(stored.error)) if stored.error else state.error,
        cause=stored.cause or state.cause,
        queued=state.queued if state.queued is not None else stored.created,
        started=state.started if state.started is not None else stored.started,
        finished=stored.finished,
        missing=state.missing + lost,
    )


def without_log(state: RunState) -> RunState:
    """The state of a run whose log is missing."""
    return replace(state, status=Status.INTERRUPTED, cause=LOG_LOST)


def _measured(stored: RunSummary) -> tuple[Measured, ...]:
    """The stored points as events; the spread over seeds and the gap between models are already in them."""
    points = [Measured(role="point", seed=0, point=point) for point in stored.points]
    return (*points, *(Measured(role="control", seed=0, point=point) for point in stored.controls))
