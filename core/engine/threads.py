"""Work on one thread, or on several that need not wait for each other.

Threads that share one operation meet at its end; where something else takes a core away, as a page being drawn does, a
network of a hundred small operations then runs many times slower.
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
    """torch computes on one thread inside, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[R, None, None]:
    """`work` on each item, results in order: `threads` items at a time, each on a thread of its own.

    What `work` computes does not depend on `threads`. Items not begun are dropped when the caller stops asking.
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
