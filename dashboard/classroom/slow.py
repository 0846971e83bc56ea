"""Whoever guesses tokens or codes waits: each wrong one of an address is answered later than the last.

A right token is not made to wait for the wrong ones of its address, which a whole class may share. Where very many
wrong ones wait, of whichever addresses, no further one is looked at, right or wrong, of somebody without a seat.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

FREE = 3  # wrong tokens that are answered at once: a link that was copied badly, one of yesterday
FIRST, LONGEST = 0.25, 4.0  # seconds; each further one doubles the last
AT_ONCE = 8  # of one client that wait for their answer; who sends more is told so
MOST_WAITING = 256  # of all clients
FORGOTTEN = 600.0  # seconds without a wrong token
MOST_CLIENTS = 1000


@dataclass
class _Client:
    wrong: int = 0
    waiting: int = 0
    last: float = 0.0


def client_of(connection: HTTPConnection) -> str:
    """The address that a request comes from."""
    return connection.client.host if connection.client else ""


class Slow:
    """Wrong tokens by client address. Right ones are not counted."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._waiting = 0

    def is_crowded(self, client: str) -> bool:
        """Whether so many of its guesses wait that the next is told that there are too many."""
        found = self._clients.get(client)
        return found is not None and found.waiting >= AT_ONCE

    def is_full(self) -> bool:
        """Whether so many guesses of all clients wait that the next is not even compared."""
        return self._waiting >= MOST_WAITING

    async def wrong(self, client: str) -> None:
        """Returns when a wrong token or code of that client may be answered."""
        found = self._known(client)
        found.wrong, found.last = found.wrong + 1, self._clock()
        late = found.wrong - FREE
        if late <= 0:
            return
        found.waiting, self._waiting = found.waiting + 1, self._waiting + 1
        try:
            await self._sleep(min(LONGEST, FIRST * 2.0 ** min(late - 1, 10)))
        finally:
            found.waiting, self._waiting = found.waiting - 1, self._waiting - 1

    def _known(self, client: str) -> _Client:
        found = self._clients.setdefault(client, _Client())
        if self._clock() - found.last > FORGOTTEN and not found.waiting:
            found.wrong = 0
        self._clients.move_to_end(client)
        while len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return found
