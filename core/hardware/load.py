"""How busy other programs keep this machine: processor time in all, less that of our own processes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

IDLE = ("idle", "iowait")


@dataclass(frozen=True)
class Sample:
    """Seconds on the clock, busy seconds of all processors together, and processor seconds of our processes by pid."""

    clock: float
    busy: float
    own: dict[int, float]


def sample(roots: Iterable[int]) -> Sample:
    """A sample now; our processes are `roots` and all their descendants."""
    times = psutil.cpu_times()
    counted = times._asdict()
    guests = counted.get("guest", 0.0) + counted.get("guest_nice", 0.0)  # already included in user and nice
    busy = sum(seconds for name, seconds in counted.items() if name not in IDLE) - guests
    return Sample(time.monotonic(), busy, dict(_worked(_family(set(roots)))))


def _family(roots: set[int]) -> Iterator[psutil.Process]:
    """The processes and their descendants; the process table is read once."""
    children: dict[int, list[psutil.Process]] = {}
    ours = []
    for process in psutil.process_iter(["ppid"]):
        children.setdefault(process.info["ppid"] or 0, []).append(process)
        if process.pid in roots:
            ours.append(process)
    seen: set[int] = set()
    while ours:
        process = ours.pop()
        if process.pid not in seen:
            seen.add(process.pid)
            ours += children.get(process.pid, [])
            yield process


def _worked(family: Iterable[psutil.Process]) -> Iterator[tuple[int, float]]:
    for member in family:
        with suppress(psutil.Error):
            times = member.cpu_times()
            yield member.pid, times.user + times.system


def others(before: Sample, now: Sample) -> float | None:
    """The share of all processors, 0 to 1, that other programs used between two samples; None if they are less than a
    second apart.

    A process of ours that began or ended in between counts as far as it was seen.
    """
    passed = (now.clock - before.clock) * (psutil.cpu_count() or 1)
    if now.clock - before.clock < 1.0:
        return None
    ours = sum(max(seconds - before.own.get(pid, 0.0), 0.0) for pid, seconds in now.own.items())
    return min(max((now.busy - before.busy - ours) / passed, 0.0), 1.0)
