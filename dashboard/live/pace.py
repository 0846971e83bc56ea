"""How often the Live page checks its run: each second while events arrive, otherwise every three seconds."""

from __future__ import annotations

import time

from core.state import RunState, Status

EVERY = 1.0  # seconds between two checks while events arrive
SELDOM = 3.0  # seconds between two checks of a run that is paused or ended, or without new events
SILENCE = 4.0  # seconds without an event, as during a measurement


def is_moving(state: RunState) -> bool:
    """Whether the run may change by itself."""
    return not state.status.is_over and state.status is not Status.PAUSED


def of(state: RunState, now: float | None = None) -> float | None:
    """Seconds until the next check, None if there is none; `now` in seconds since 1970."""
    if not is_moving(state):
        return None
    silent = (time.time() if now is None else now) - (state.last_event or 0.0)
    return SELDOM if silent > SILENCE else EVERY
