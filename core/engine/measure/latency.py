"""Latency of saved files in onnxruntime: after warm-up, interleaved with the files compared, with percentiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from core.engine.measure.runtime import RUNTIME, open_session
from core.points import Latency

WARMUP = 10  # runs of each file before the first counted one
BUSY = 1.15  # ratio of wall time to CPU time above which the machine was busy with something else
CHUNK = 0.02  # seconds for which a file runs before the next one's turn


@dataclass(frozen=True)
class Timing:
    """Milliseconds of each counted run, and total wall and CPU seconds; `alone` is False if other work of this program
    went on meanwhile."""

    milliseconds: tuple[float, ...]
    wall: float
    processor: float
    threads: int
    alone: bool = True

    def latency(self) -> Latency:
        """The median and the 95th percentile; `noisy` when wall time exceeds CPU time by 15 %, and when it was
        not measured alone.

        With several threads, CPU time is that of all of them, so only a very busy machine is detected.
        """
        p50, p95 = (float(np.percentile(self.milliseconds, q)) for q in (50, 95))
        busy = not self.alone or self.wall > BUSY * self.processor
        return Latency(
            runtime=RUNTIME, device="cpu", threads=self.threads, batch=1, n=len(self.milliseconds),
            p50=p50, p95=p95, noisy=busy,
        )  # fmt: skip


def time_files(
    files: Mapping[str, Path], threads: int, seconds: float = 1.5, stop: Callable[[], None] = lambda: None
) -> dict[str, Timing]:
    """Times the files at batch 1 for about `seconds` in total, in turns of 20 ms so that drift affects all equally.

    A file's turn begins with one uncounted run, which brings its weights back into the CPU cache.
    """
    runs = {name: _runner(path, threads) for name, path in files.items()}
    for run in runs.values():
        for _ in range(WARMUP):
            run()
    found: dict[str, list[float]] = {name: [] for name in files}
    wall, processor = dict.fromkeys(files, 0.0), dict.fromkeys(files, 0.0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, found.values())) < 30:
        stop()
        for name, run in runs.items():
            run()
            began, used = time.perf_counter(), time.process_time()
            turn = began + CHUNK
            start = began
            while start < turn:
                run()
                now = time.perf_counter()
                found[name].append((now - start) * 1000)
                start = now
            wall[name] += start - began
            processor[name] += time.process_time() - used
    return {name: Timing(tuple(found[name]), wall[name], processor[name], threads) for name in files}


def ratio(slow: Timing, fast: Timing) -> float:
    """How many times faster the median of `fast` is than that of `slow`."""
    return median(slow.milliseconds) / median(fast.milliseconds)


def inside_noise(one: Timing, other: Timing) -> bool:
    """Whether the two cannot be distinguished: the median of either is within the other's interquartile range."""
    bounds = [np.percentile(t.milliseconds, (25, 75)) for t in (one, other)]
    middles = [median(t.milliseconds) for t in (one, other)]
    return any(low <= middle <= high for (low, high), middle in zip(bounds, reversed(middles), strict=True))


def _runner(path: Path, threads: int) -> Callable[[], object]:
    session = open_session(path, threads, spinning=True)  # as a user's own session would
    given = session.get_inputs()[0]
    shape = [1, *given.shape[1:]]
    image = {given.name: np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}
    names = [session.get_outputs()[0].name]
    return lambda: session.run(names, image)
