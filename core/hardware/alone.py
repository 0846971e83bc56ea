"""Measuring alone: whoever works holds a lock that workers share, and whoever measures latency holds it exclusively.

Two files in a folder of this person's on this machine. A worker holds `work.lock` shared and passes through `gate.lock`
between two batches; a measurement closes the gate, so that no batch begins, and then waits for those that have begun.
The kernel releases the locks of a process that dies.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from core.files import HeldLock, make_folder

POLL = 0.005  # seconds
PATIENCE = 30.0  # seconds a measurement waits for the batches of others to end
TURN = 300.0  # seconds it waits for other measurements
NOT_ALONE = (
    f"Other work of this program on this machine did not pause within {PATIENCE:.0f} s, so the latency was measured "
    "beside it and counts as noisy."
)


def runtime_folder(otherwise: Path) -> Path:
    """A folder that all programs of this person on this machine use, and nobody else; `otherwise` if there is none."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(given) if given and _mine(Path(given)) else Path(tempfile.gettempdir())
    name = "condenser" if base == Path(given) else f"condenser-{os.geteuid()}"
    try:
        folder = make_folder(base / name)
    except OSError:
        return otherwise
    return folder if _mine(folder) else otherwise


def _mine(folder: Path) -> bool:
    """Whether it is a folder, no link to one, that only this person may write to."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return folder.is_dir() and not folder.is_symlink() and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _go_on() -> None:
    return None


class Turns:
    """One process's part in it; `folder` is the same for all of them. `patience` as PATIENCE."""

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._gate = HeldLock(folder / "gate.lock")
        self._work = HeldLock(folder / "work.lock")
        self._mine = RLock()  # threads of one process give way one after the other
        self._working = self._measuring = False

    @classmethod
    def of(cls, workspace_cache: Path) -> Turns:
        """The turns of this machine, or of this workspace alone if the machine has no place for them."""
        return cls(make_folder(runtime_folder(workspace_cache)))

    @contextmanager
    def at_work(self, check: Callable[[], object] = _go_on) -> Iterator[None]:
        """Holds the shared lock while the block runs, except in `give_way` and `alone`. `check` is called again and
        again while a measurement lets it wait, and may raise."""
        self._begin(check)
        self._working = True
        try:
            yield
        finally:
            self._working = False
            self._work.release()

    def begin_unless_measured(self) -> bool:
        """Takes the shared lock until `close`; False if somebody measures or is about to."""
        if not self._gate.take(shared=True):
            return False
        try:
            return self._work.take(shared=True)
        finally:
            self._gate.release()

    def give_way(self, check: Callable[[], object] = _go_on) -> None:
        """Between two batches: waits while somebody measures. Does nothing in a process that measures itself."""
        if not self._working or self._measuring:
            return
        with self._mine:
            if self._gate.take(shared=True):
                self._gate.release()
                return
            self._work.release()
            self._begin(check)

    @contextmanager
    def alone(self, check: Callable[[], object] = _go_on) -> Iterator[bool]:
        """Holds the exclusive lock while the block runs; yields False if others did not pause within `patience`
        seconds, and the block then runs beside them."""
        with self._mine:
            self._measuring = True
            self._work.release()
            try:
                closed = self._wait(self._gate, TURN, check)
                yield closed and self._wait(self._work, self.patience, check)
            finally:
                self._work.release()
                self._gate.release()
                try:
                    if self._working:
                        self._begin(check)
                finally:
                    self._measuring = False

    def close(self) -> None:
        """Closes both files."""
        self._gate.close()
        self._work.close()

    def _begin(self, check: Callable[[], object]) -> None:
        """Takes the shared lock, through the gate."""
        while not self._gate.take(shared=True):
            check()
            time.sleep(POLL)
        try:
            while not self._work.take(shared=True):
                check()
                time.sleep(POLL)
        finally:
            self._gate.release()

    def _wait(self, lock: HeldLock, limit: float, check: Callable[[], object]) -> bool:
        until = time.monotonic() + limit
        while not lock.take():
            check()
            if time.monotonic() > until:
                return False
            time.sleep(POLL)
        return True
