"""A turn of a file whose latency is measured. Imports no other module of this project: `runtime_child` does so too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Turn(NamedTuple):
    """Milliseconds of each counted run, and total wall and CPU seconds."""

    milliseconds: list[float]
    wall: float
    processor: float


def turn(run: Callable[[], object], seconds: float) -> Turn:
    """Runs for about `seconds`, after one uncounted run, which brings the weights back into the CPU cache."""
    run()
    began, used = time.perf_counter(), time.process_time()
    end, start = began + seconds, began
    found: list[float] = []
    while start < end:
        run()
        now = time.perf_counter()
        found.append((now - start) * 1000)
        start = now
    return Turn(found, start - began, time.process_time() - used)
