"""What a list shows of every run, kept in one file, so that ten thousand runs are listed without opening their files.

The file is a cache with a hash. An entry is valid only for the result.json it was read from (time and size): runs that
are new, unfinished or modified are read themselves. A damaged file is written anew.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from core.files import make_folder
from core.runs import Run
from core.storage.sealed import read_kept, write_kept

T = TypeVar("T")
Stamp = tuple[int, int]  # modification time of a result.json in nanoseconds, and its size in bytes
ENOUGH = 20  # new entries after which the file is written again


class Ledger(Generic[T]):
    """The results of `read` for the runs in the folder `runs`, as JSON in the file `path`; `shape` describes the
    results, so that a file of another version is not used."""

    def __init__(self, runs: Path, path: Path, shape: str, read: Callable[[Run], T]) -> None:
        self._runs, self._path, self._shape, self._read = runs, path, shape, read

    def of(self, run_ids: list[str]) -> Iterator[tuple[str, T]]:
        """Each run with its result, in the order of `run_ids`; runs deleted meanwhile are left out."""
        known, fresh = self._known(), 0
        kept: dict[str, tuple[Stamp, T]] = {}
        for run_id in run_ids:
            stamp, before = stamp_of(f"{self._runs}/{run_id}"), known.get(run_id)
            if stamp is not None and before is not None and tuple(before[0]) == stamp:
                kept[run_id] = (stamp, before[1])
                yield run_id, before[1]
                continue
            found = self._read(Run(self._runs / run_id))
            if stamp is not None:
                kept[run_id], fresh = (stamp, found), fresh + 1
            if stamp is not None or (self._runs / run_id).is_dir():
                yield run_id, found
        if fresh >= min(ENOUGH, max(len(known), 1)) or len(known) > len(kept) + ENOUGH:
            self._keep(kept)

    def _known(self) -> dict[str, tuple[Stamp, T]]:
        data = read_kept(self._path)
        with suppress(ValueError, TypeError, KeyError):
            document = json.loads(data or b"{}", parse_constant=lambda name: math.nan)
            if document["shape"] == self._shape:
                found: dict[str, tuple[Stamp, T]] = document["runs"]
                return found
        return {}

    def _keep(self, kept: dict[str, tuple[Stamp, T]]) -> None:
        if not os.access(self._runs, os.W_OK | os.X_OK):
            return  # a workspace to look at
        document = json.dumps({"shape": self._shape, "runs": kept}, separators=(",", ":"), ensure_ascii=False)
        with suppress(OSError):  # a full disk
            make_folder(self._path.parent)
            write_kept(self._path, document.encode())


def stamp_of(folder: str) -> Stamp | None:
    """The stamp of a run's result.json; None if the run has not ended."""
    try:
        found = os.stat(f"{folder}/result.json")
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
