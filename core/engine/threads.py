"""How many threads share an operation, by rule; and work on several independent threads.

Threads that share one operation wait for each other at its end; if another process takes a core away, a network of many
small operations then runs many times slower. The rule depends on the work alone, not on the machine or its load, so
that the same recipe sums in the same order everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

SHARE = 500_000_000  # multiply-accumulates of an operation per thread: a few milliseconds of work


def shared(work: float, cores: int) -> int:
    """The number of threads, at most `cores`, for an operation of `work` multiply-accumulates.

    Measured with resnet8 at 64 px (600 million an operation) on two cores: two threads that sleep while they wait are
    1.1 times faster than one on an idle machine, and 1.1 times slower beside one busy process; two that spin are 1.7
    times faster, and 2.6 times slower.
    """
    return max(1, min(cores, int(work // SHARE)))


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """torch computes on `count` threads in the block, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> AbstractContextManager[None]:
    """torch computes on one thread in the block."""
    return on_threads(1)


def side_by_side(work: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[R, None, None]:
    """Calls `work` on each item, `threads` items at a time, each on its own thread; yields results in order.

    Results do not depend on `threads`. Items that have not begun are dropped if the caller stops iterating.
    """
    with one_thread(), ThreadPoolExecutor(threads, initializer=_alone) as pool:
        waiting = [pool.submit(work, item) for item in items]
        try:
            for future in waiting:
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def ahead(items: Iterator[T], *, here: bool = False) -> Iterator[T]:
    """`items`, each computed on another thread while the previous one is used; with `here` on the caller's thread."""
    return items if here else _ahead(items)


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    with ThreadPoolExecutor(1, initializer=_alone) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _alone() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
