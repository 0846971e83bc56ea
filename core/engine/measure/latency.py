"""Latency of saved files in onnxruntime: after warm-up, interleaved with the files compared, with percentiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal, Protocol, TypedDict

import numpy as np

from core.engine.measure.runtime import RUNTIME, open_session
from core.engine.measure.turn import Turn, turn
from core.points import Latency

WARMUP = 10  # runs of each file before the first counted one
BUSY = 1.15  # ratio of wall time to CPU time above which the machine was busy with something else
CHUNK = 0.02  # seconds for which a file runs before the next one's turn
FEWEST_TURNS = 4  # in which two files were timed, to tell how far their ratio spreads
APART = 0.03  # medians of the same file further apart are noise, as a share of the smaller


@dataclass(frozen=True)
class Timing:
    """Milliseconds of each counted run, and total wall and CPU seconds; `alone` is False if other work of this program
    went on meanwhile; `turns` are the numbers of runs in each turn, where it was timed in turns."""

    milliseconds: tuple[float, ...]
    wall: float
    processor: float
    threads: int
    alone: bool = True
    runtime: str = RUNTIME
    device: str = "cpu"
    turns: tuple[int, ...] = ()

    def latency(self) -> Latency:
        """The median and the 95th percentile; `noisy` when wall time exceeds CPU time by 15 %, and when it was
        not measured alone.

        With several threads, CPU time is that of all of them, so only a very busy machine is detected. On a GPU, whose
        work is no CPU time, `noisy` is that the halves of the turns are more than 3 % apart.
        """
        p50, p95 = (float(np.percentile(self.milliseconds, q)) for q in (50, 95))
        apart = self.apart()
        busy = self.wall > BUSY * self.processor if self.device == "cpu" else (apart or 0.0) > APART
        return Latency(
            runtime=self.runtime,
            device=self.device,
            threads=self.threads,
            batch=1,
            n=len(self.milliseconds),
            p50=p50,
            p95=p95,
            noisy=busy or not self.alone,
            apart=apart,
        )

    def apart(self) -> float | None:
        """How far the medians of every other turn and of the turns between are apart, as a share of the smaller: an A/A
        comparison. None for fewer than two turns."""
        if len(self.turns) < 2:
            return None
        parts = self._parts()
        middles = [median(one for part in parts[half::2] for one in part) for half in (0, 1)]
        return max(middles) / min(middles) - 1

    def medians(self) -> tuple[float, ...]:
        """The median of each turn in milliseconds."""
        return tuple(map(median, self._parts()))

    def _parts(self) -> list[tuple[float, ...]]:
        ends = np.cumsum((0, *self.turns))
        return [self.milliseconds[a:b] for a, b in pairwise(ends)]


class Runner(Protocol):
    """A file that another process runs: `core.engine.measure.further_runtimes.OpenFile`."""

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> str: ...

    def turn(self, seconds: float) -> Turn: ...


def time_files(
    files: Mapping[str, Path],
    threads: int,
    seconds: float = 1.5,
    stop: Callable[[], None] = lambda: None,
    elsewhere: Mapping[str, Runner] | None = None,
) -> dict[str, Timing]:
    """Times the files at batch 1 for about `seconds` in total, in turns of 20 ms so that drift affects all equally.
    Files opened `elsewhere` get turns of the same length beside them, which makes it so much longer.
    """
    runs = {name: _runner(path, threads) for name, path in files.items()}
    for run in runs.values():
        for _ in range(WARMUP):
            run()
    others = elsewhere or {}
    found: dict[str, list[Turn]] = {name: [] for name in (*files, *others)}
    end = time.perf_counter() + seconds * len(found) / max(len(files), 1)
    while time.perf_counter() < end or min(sum(len(t.milliseconds) for t in taken) for taken in found.values()) < 30:
        stop()
        for name, run in runs.items():
            found[name].append(turn(run, CHUNK))
        for name, runner in others.items():
            found[name].append(runner.turn(CHUNK))
    where = {name: (runner.name, runner.device) for name, runner in others.items()}
    return {name: _timing(taken, threads, *where.get(name, (RUNTIME, "cpu"))) for name, taken in found.items()}


def _timing(taken: list[Turn], threads: int, runtime: str, device: str) -> Timing:
    return Timing(
        tuple(one for t in taken for one in t.milliseconds),
        sum(t.wall for t in taken),
        sum(t.processor for t in taken),
        threads,
        runtime=runtime,
        device=device,
        turns=tuple(len(t.milliseconds) for t in taken),
    )


def ratio(slow: Timing, fast: Timing) -> float:
    """How many times faster the median of `fast` is than that of `slow`."""
    return median(slow.milliseconds) / median(fast.milliseconds)


def spread(slow: Timing, fast: Timing) -> tuple[float, float] | None:
    """The ends of the middle half of the ratios of the two medians turn by turn. None where they were not timed in as
    many turns, four at least."""
    if len(slow.turns) != len(fast.turns) or len(slow.turns) < FEWEST_TURNS:
        return None
    ratios = [before / after for before, after in zip(slow.medians(), fast.medians(), strict=True)]
    low, high = np.percentile(ratios, (25, 75))
    return float(low), float(high)


def inside_noise(one: Timing, other: Timing) -> bool:
    """Whether the two cannot be distinguished: the median of either is within the other's interquartile range."""
    bounds = [np.percentile(t.milliseconds, (25, 75)) for t in (one, other)]
    middles = [median(t.milliseconds) for t in (one, other)]
    return any(low <= middle <= high for (low, high), middle in zip(bounds, reversed(middles), strict=True))


class Compared(TypedDict, total=False):
    """How many times faster a file is, or why that is not said."""

    times_faster: float
    withheld: Literal["busy", "noise"]


def compared(slow: Timing, fast: Timing) -> Compared:
    """`ratio`, withheld where the two cannot be distinguished or the machine was busy."""
    if slow.latency().noisy or fast.latency().noisy:
        return {"withheld": "busy"}
    if inside_noise(slow, fast):
        return {"withheld": "noise"}
    return {"times_faster": ratio(slow, fast)}


def _runner(path: Path, threads: int) -> Callable[[], object]:
    session = open_session(path, threads, spinning=True)  # as a user's own session would
    given = session.get_inputs()[0]
    shape = [1, *given.shape[1:]]
    image = {given.name: np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}
    names = [session.get_outputs()[0].name]
    return lambda: session.run(names, image)
