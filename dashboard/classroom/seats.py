"""Who sits where while the server runs: whose a browser session is, its page, and what was shown to it."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from core.errors import UserError

SHARED = "CONDENSER_SHARED"  # in the environment of a shared server: the address it listens on
HEADER = "condenser-seat"  # by which pages know who sits there; one that a browser sends is dropped
TEACHER = "teacher"
MOST_FILES = 2000  # of a seat that are remembered as shown to it
MOST_SESSIONS = 200  # of a seat that are remembered: nobody's many make another's forgotten


@dataclass(frozen=True)
class Visit:
    """A browser session: its seat (`teacher` or a learner's id), the page it showed last, and when (seconds since
    1970)."""

    seat: str
    page: str
    seen: float


class Seats:
    """Safe to use from any thread: pages run in threads of their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, Visit] = OrderedDict()
        self._files: dict[str, OrderedDict[str, None]] = {}
        self._open: Counter[str] = Counter()
        self._told: dict[str, UserError] = {}

    def came(self, session: str, seat: str, page: str) -> None:
        """A page runs in that session."""
        with self._lock:
            self._sessions[session] = Visit(seat, page, time.time())
            self._sessions.move_to_end(session)
            theirs = [one for one, visit in self._sessions.items() if visit.seat == seat]
            for old in theirs[:-MOST_SESSIONS]:
                del self._sessions[old]

    def owner(self, session: str) -> str | None:
        """Whose session it is; None if no page has run in it."""
        with self._lock:
            found = self._sessions.get(session)
        return found.seat if found else None

    def sessions(self, seat: str) -> list[str]:
        """The sessions of a seat."""
        with self._lock:
            return [session for session, visit in self._sessions.items() if visit.seat == seat]

    def last(self) -> dict[str, Visit]:
        """By seat, what it showed last."""
        with self._lock:
            found: dict[str, Visit] = {}
            for visit in self._sessions.values():
                if visit.seat not in found or visit.seen >= found[visit.seat].seen:
                    found[visit.seat] = replace(visit)
        return found

    def showed(self, seat: str, files: Iterable[str]) -> None:
        """Files were put on a page of that seat, which may fetch them."""
        with self._lock:
            known = self._files.setdefault(seat, OrderedDict())
            for file in files:
                known[file] = None
                known.move_to_end(file)
            while len(known) > MOST_FILES:
                known.popitem(last=False)

    def was_shown(self, seat: str, file: str) -> bool:
        """Whether a file was put on a page of that seat."""
        with self._lock:
            return file in self._files.get(seat, ())

    def tell(self, seat: str, error: UserError) -> None:
        """Keeps what was refused outside of a page, for the next page to say."""
        with self._lock:
            self._told[seat] = error

    def told(self, seat: str) -> UserError | None:
        """What was refused since the last page said it."""
        with self._lock:
            return self._told.pop(seat, None)

    def opened(self, seat: str) -> None:
        """A tab of that seat connected."""
        with self._lock:
            self._open[seat] += 1

    def closed(self, seat: str) -> None:
        """A tab of that seat went away."""
        with self._lock:
            self._open[seat] -= 1

    def tabs(self, seat: str) -> int:
        """How many tabs of that seat are connected."""
        with self._lock:
            return self._open[seat]


@cache
def seats() -> Seats:
    """Those of this server."""
    return Seats()
