"""The caches of a workspace: shown with their sizes, and cleared without losing any result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.classroom.limits import cache_limit
from core.classroom.places import is_corner
from core.errors import UserError
from core.files import remove_file, remove_tree
from core.runs import Run
from core.workspace import Workspace

DOWNLOADED = "weights"  # costs a download, so it is not cleared
LIMIT = "CONDENSER_CACHE_LIMIT"  # of everything that can be made again, in GB
LARGEST = 20 * 10**9  # bytes, or a tenth of the disk if that is less
ROOM = 0.9  # the share of the limit that is left after an eviction, so that the next one is not due at once
MADE_AGAIN = "Made again when needed."
FETCHED = "Kept by --clear: it was downloaded. Delete the folder to fetch it again."


@dataclass(frozen=True)
class Cached:
    """A folder of the cache: the number of its `files` and their total `bytes` on disk."""

    path: Path
    file: str
    files: int
    bytes: int
    downloaded: bool

    def to_json(self, state: str) -> dict[str, str | int]:
        """As in the commands' JSON output; `state` is `kept` or `cleared`."""
        fix = FETCHED if self.downloaded else MADE_AGAIN
        return {"file": self.file, "state": state, "fix": fix, "files": self.files, "bytes": self.bytes}


def cached(workspace: Workspace) -> list[Cached]:
    """The cache folders that are not empty, and the decoded images of imported datasets but those that are lent."""
    mine = [folder for folder in workspace.datasets.glob("own-*/cache") if not folder.parent.is_symlink()]
    folders = [*workspace.cache.glob("*"), *mine]
    return [found for folder in sorted(folders) if folder.is_dir() and (found := _measured(workspace, folder)).files]


def clear(workspace: Workspace) -> list[Cached]:
    """Removes what can be made again and returns what was removed; raises UserError `run_is_running` while a run is at
    work."""
    for run_id in workspace.run_ids():
        _refuse_running(workspace.run(run_id))
    found = [one for one in cached(workspace) if not one.downloaded]
    for one in found:
        remove_tree(one.path)
    return found


def limit(workspace: Workspace) -> int:
    """The size limit of all caches in bytes: CONDENSER_CACHE_LIMIT (in GB), by default 20 GB or a tenth of the disk.

    A learner's corner has a share of its disk limit. Raises UserError `bad_limit` if the variable is not a number of at
    least 0.
    """
    if is_corner(workspace.path):
        return cache_limit(workspace.path)
    given = os.environ.get(LIMIT, "")
    if not given:
        return min(LARGEST, shutil.disk_usage(_existing(workspace.path)).total // 10)
    try:
        wanted = float(given)
    except ValueError:
        wanted = -1.0
    if not 0 <= wanted < float("inf"):
        raise UserError("bad_limit", LIMIT, given, "gigabytes, 0 or more", "Set it to a number such as 20.")
    return int(wanted * 10**9)


def make_room(workspace: Workspace, most: int | None = None) -> int:
    """Removes the least recently used entries if there are more than `most` bytes (default: `limit`); returns the
    number of bytes removed.

    Runs make again what they need. Downloads and the decoded images of imported datasets are not removed.
    """
    most = limit(workspace) if most is None else most
    entries = sorted(_entries(workspace), key=lambda entry: entry.used)
    kept = sum(entry.bytes for entry in entries)
    gone = 0
    if kept <= most:
        return 0
    for entry in entries:
        if kept - gone <= ROOM * most:
            break
        with suppress(OSError):
            remove_tree(entry.path) if entry.path.is_dir() else remove_file(entry.path)
            gone += entry.bytes
    return gone


@dataclass(frozen=True)
class _Entry:
    """An entry of a cache, a file or a folder; `used`: when it was last used, in seconds since 1970."""

    path: Path
    bytes: int
    used: float


def _entries(workspace: Workspace) -> Iterator[_Entry]:
    for path in workspace.cache.glob("*/*"):
        if path.parent.name != DOWNLOADED:
            with suppress(OSError):  # gone meanwhile
                size = sum(_sizes(path)) if path.is_dir() else path.stat().st_size
                yield _Entry(path, size, path.stat().st_mtime)


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())


def _refuse_running(run: Run) -> None:
    if run.state().status.is_over:
        return
    with run.hold() as idle:
        if not idle:
            raise UserError("run_is_running", "run", run.id, "a workspace without a running run", "Wait for it to end.")


def _measured(workspace: Workspace, folder: Path) -> Cached:
    sizes = list(_sizes(folder))
    name = folder.relative_to(workspace.path).as_posix()
    return Cached(folder, name, len(sizes), sum(sizes), folder.name == DOWNLOADED)


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.stat().st_size
