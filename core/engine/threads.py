"""Work on one thread, or on several independent threads.

Threads that share one operation wait for each other at its end; if another process takes a core away, a network of many
small operations then runs many times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def one_thread() -> Iterator[None]:
    """torch computes on one thread in the block, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def _alone() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
