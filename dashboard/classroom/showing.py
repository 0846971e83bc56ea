"""What the teacher shows the class at this moment: a lesson, and which of its predictions is asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

SILENT = 90.0  # seconds without a sign of the page that shows it, after which nothing is shown any more


@dataclass(frozen=True)
class Showing:
    """A lesson on the teacher's screen since `since`; `place` is the prediction that is asked for, from 0, None on
    another slide; `told` says when the answers to a prediction were first shown, `session` which of the teacher's
    browser sessions shows it. Times are in seconds since 1970."""

    lesson: str
    place: int | None
    since: float
    seen: float
    told: Mapping[int, float] = field(default_factory=dict)
    session: str = ""


class Screen:
    """The teacher's screen, as the server knows it. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._showing: Showing | None = None

    def now(self) -> Showing | None:
        """What is shown; None where nothing is, or the teacher's page is gone."""
        with self._lock:
            return self._current()

    def show(self, lesson: str, place: int | None, session: str = "") -> Showing:
        """The teacher's page shows that slide, and says so again and again."""
        with self._lock:
            found, now = self._current(), self._clock()
            if found is None or found.lesson != lesson:
                found = Showing(lesson, place, now, now)
            self._showing = replace(found, place=place, seen=now, session=session)
            return self._showing

    def tell(self, place: int) -> None:
        """The answers to a prediction of the lesson are shown; who predicts from now on has seen them."""
        with self._lock:
            found = self._current()
            if found is not None and place not in found.told:
                self._showing = replace(found, told={**found.told, place: self._clock()})

    def leave(self, session: str) -> None:
        """That session of the teacher's shows something else; another's is not concerned."""
        with self._lock:
            if self._showing is not None and self._showing.session == session:
                self._showing = None

    def _current(self) -> Showing | None:
        found = self._showing
        return found if found is not None and self._clock() - found.seen < SILENT else None


@cache
def screen() -> Screen:
    """That of this server."""
    return Screen()
