"""A run on a node of a cluster: its folder there, its worker, and what of it is new.

Ray makes one `Guest` for each run, in a process of its own on the node; nothing here imports Ray. Its answers are plain
data, because not every error can travel.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_dir

from core.cluster.cargo import KINDS, Item, place_for, results
from core.cluster.hashes import Hashes
from core.cluster.leash import leash
from core.errors import UserError
from core.files import lock, make_folder, remove_tree, replacing, safe_join, write_atomic
from core.processes.workers import WORKER, Worker, alive, end, read_identity, start_worker
from core.runs import Run
from core.storage.sealed import file_hash
from core.workspace import Workspace

FOLDER = "CONDENSER_NODE"  # the folder of a node for all workspaces; by default in its cache folder
SPARE_BYTES = 500 * 10**6  # that must stay free for what the run writes
PIECE = 8 * 2**20  # bytes that travel at once


@dataclass(frozen=True)
class Lack:
    """The `items` that a node has not, their bytes, and the bytes it has free; `fits` says whether there is room."""

    items: tuple[Item, ...]
    needed: int
    free: int

    @property
    def fits(self) -> bool:
        """Whether the node has room for them and for what the run writes."""
        return not self.needed or self.free >= self.needed + SPARE_BYTES


@dataclass(frozen=True)
class File:
    """A file that the run made: `stamp` tells whether the same file is still there."""

    path: str
    bytes: int
    sha256: str
    stamp: tuple[int, int, int]


@dataclass(frozen=True)
class News:
    """What a run has to tell: new whole lines of its events and its output, all its files, whether its worker is alive,
    else its exit code; `clock` is the node's, in seconds since 1970."""

    clock: float
    events: bytes
    log: bytes
    files: tuple[File, ...]
    alive: bool
    code: int | None = None


class Guest:
    """One run on this node, from its arrival to its end."""

    def __init__(self, key: str, run_id: str, command: Sequence[str] = WORKER) -> None:
        self.folder = node_folder() / key
        self.run = Run(self.folder / "runs" / run_id)
        self.command = tuple(command)
        self.worker: Worker | None = None
        self._results = Hashes(self.run.folder)  # never kept
        self._taking: AbstractContextManager[bool] | None = None
        self._leash: subprocess.Popen[bytes] | None = None

    def arrive(self) -> None:
        """Clears what an earlier try left here, and starts the worker, so that its imports and the files' journey take
        place at once."""
        os.environ.pop("OMP_NUM_THREADS", None)  # Ray's guess: a run has the threads of its recipe
        workspace = Workspace.open_or_create(self.folder)
        former = read_identity(self.run.worker)
        if alive(former) and former is not None:
            end(former, kill=True)
        remove_tree(self.run.folder)
        for part in (self.run.checkpoints, self.run.artifacts):
            make_folder(part)
        self.worker = start_worker(workspace.logs, _here(self.command))
        self._leash = leash(self.worker.who)

    def lacks(self, items: Sequence[Item]) -> Lack | None:
        """Which of the items are not here. None while another run brings its own: ask again."""
        if self._taking is None:
            taking = lock(self.folder / "cargo.lock", wait=False)
            if not taking.__enter__():
                taking.__exit__(None, None, None)
                return None
            self._taking = taking  # until the run begins: what two runs need comes once
        hashes = Hashes(self.folder)
        missing = tuple(one for one in items if not self._has(one, hashes))
        hashes.keep()
        return Lack(missing, sum(one.bytes for one in missing), shutil.disk_usage(self.folder).free)

    def receive(self, one: Item, offset: int, data: bytes) -> bool:
        """Takes the next piece of a file, which is in its place once it is whole; False if its content is not that of
        the item."""
        path = self._path(one)
        part = path.with_name(f".{path.name[:40]}.part")
        make_folder(path.parent)
        with part.open("ab" if offset else "wb") as file:
            file.write(data)
        if offset + len(data) < one.bytes:
            return True
        good = file_hash(part) == one.sha256
        if good:
            with replacing(path) as temporary:
                os.rename(part, temporary)
        else:
            part.unlink(missing_ok=True)
        return good

    def begin(self) -> None:
        """Gives the run to its worker: everything is here."""
        self._let_others_bring()
        assert self.worker is not None
        self.worker.give_run(self.run)

    def news(self, events: int, log: int) -> News:
        """What is new after so many bytes of events and of output. Files are listed after the events were read: what an
        event tells of is among them."""
        assert self.worker is not None
        going = self.worker.alive()  # first: what a worker wrote last is then read below
        told = _after(self.run.events, events)
        files = tuple(found for path in results(self.run.folder) if (found := self._file(path)) is not None)
        code = None if going else self.worker.process.poll()
        output = _after(self.run.log if self.run.log.exists() else self.worker.log, log)
        return News(time.time(), told[: told.rfind(b"\n") + 1], output, files, going, code)

    def read(self, file: File, offset: int) -> bytes | None:
        """The next piece of a file; None if it was replaced or removed meanwhile."""
        try:
            with place_for(self.run.folder, file.path).open("rb") as opened:
                if _stamp(os.fstat(opened.fileno())) != file.stamp:
                    return None
                opened.seek(offset)
                return opened.read(PIECE)
        except FileNotFoundError:
            return None

    def ask(self, flag: str, content: bytes) -> None:
        """Puts a person's request, `cancel` or `pause`, where the worker looks for it."""
        if flag in ("cancel", "pause"):
            write_atomic(self.run.folder / flag, content)

    def end(self, kill: bool) -> None:
        """Ends the worker, or asks it to end after its batch."""
        if self.worker is not None:
            end(self.worker.who, kill=kill)

    def leave(self) -> None:
        """Removes the run from this node; datasets, networks and caches stay for the next."""
        self._let_others_bring()
        if self.worker is not None:
            self.worker.dismiss()
            self.end(kill=True)
            self.worker.process.wait()
        if self._leash is not None and self._leash.stdin is not None:
            self._leash.stdin.close()
            self._leash.wait()
        with suppress(OSError):
            remove_tree(self.run.folder)

    def _let_others_bring(self) -> None:
        if self._taking is not None:
            self._taking.__exit__(None, None, None)
            self._taking = None

    def _has(self, one: Item, hashes: Hashes) -> bool:
        path = self._path(one)
        try:
            return path.stat().st_size == one.bytes and hashes.of(path) == one.sha256
        except OSError:
            return False

    def _path(self, one: Item) -> Path:
        path = safe_join(self.folder, one.path)
        if path.relative_to(self.folder).parts[0] not in KINDS:
            raise UserError("unsafe_path", "path", one.path, f"a file in {', '.join(KINDS)}", "Look at what sends it.")
        return path

    def _file(self, path: Path) -> File | None:
        try:
            stamp = _stamp(path.stat())
            found = Item(path.relative_to(self.run.folder).as_posix(), stamp[1], self._results.of(path))
        except OSError:  # removed meanwhile
            return None
        return File(found.path, found.bytes, found.sha256, stamp)


def node_folder() -> Path:
    """Where a node keeps what runs need; nodes that share a disk have one each."""
    given = os.environ.get(FOLDER, "")
    return Path(given) if given else Path(user_cache_dir("condenser", appauthor=False)) / "nodes" / platform.node()


def _here(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command with this machine's Python."""
    return (sys.executable, *command[1:])


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _after(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except OSError:
        return b""
