"""The one module that writes to disk: atomically, flushed, inside its folder, and testable with injected faults.

Content goes to a temporary file, which is flushed and then replaces the target in one step; then the folder is
flushed. After a crash a reader finds the old content or the new, never a mixture
(https://lwn.net/Articles/457667/).
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.errors import UserError

KINDS = ("kill", "torn", "enospc", "eio", "erofs")
FAULTS = {"enospc": errno.ENOSPC, "eio": errno.EIO, "erofs": errno.EROFS}
FULL = (errno.ENOSPC, errno.EDQUOT)
LOCK_POLL = 0.02  # seconds
LONGEST_NAME = 255  # bytes in one name, on all common file systems
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700  # whatever the umask: only its owner may read a workspace
PRIVATE_UMASK = 0o077  # of the processes we start, for files that libraries write
SHARED_FILE, SHARED_FOLDER = 0o666, 0o777  # less the umask: for exported and installed files


class FullDiskError(OSError):
    """A write failed for lack of space: `filename` is the file, `needed` its size in bytes, 0 if unknown."""

    def __init__(self, code: int, text: str, path: Path, needed: int) -> None:
        super().__init__(code, text, str(path))
        self.needed = needed


@dataclass
class Failpoint:
    """Makes the n-th disk operation fail, so that a test can try every n until a scenario passes without the fault.

    `kind` is `kill` (the process dies before the operation), `torn` (half the bytes are written, then it dies), or the
    name of an errno in lower case: `enospc`, `eio`, `erofs`. `lasting` makes all later operations fail too.
    """

    kind: str
    at: int
    lasting: bool = False
    count: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.at < 1:
            raise ValueError(f"failpoint: got {self.kind}:{self.at}; allowed: {', '.join(KINDS)} from 1 up")

    @classmethod
    def parse(cls, text: str) -> Failpoint | None:
        """`kill:7` is the 7th operation only, `enospc:3+` the third and all later ones; None for an empty text."""
        if not text:
            return None
        kind, _, at = text.partition(":")
        return cls(kind, int(at.removesuffix("+")), lasting=at.endswith("+"))

    @property
    def fired(self) -> bool:
        """Whether the chosen operation was reached."""
        return self.count >= self.at

    def strike(self, path: Path, file: int | None, data: bytes) -> None:
        """Counts one operation on `path`, and makes it fail if it is the one chosen."""
        self.count += 1
        if self.count != self.at and not (self.lasting and self.fired):
            return
        if self.kind in FAULTS:
            text = f"{os.strerror(FAULTS[self.kind])} (failpoint {self.kind}:{self.at})"
            raise OSError(FAULTS[self.kind], text, str(path))
        if self.kind == "torn" and file is not None:
            os.write(file, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)


class Misread(Failpoint):
    """CONDENSER_FAILPOINT holds no valid failpoint: every operation raises an error, because a test that silently
    injects nothing proves nothing."""

    def __init__(self, given: str) -> None:
        super().__init__("kill", 1)
        self.given = given

    def strike(self, path: Path, file: int | None, data: bytes) -> None:
        """Raises UserError `bad_failpoint`."""
        allowed = f"nothing, or one of {', '.join(KINDS)} with a number, such as enospc:3 or eio:1+"
        fix = "Unset CONDENSER_FAILPOINT; it is there for tests."
        raise UserError("bad_failpoint", "CONDENSER_FAILPOINT", self.given, allowed, fix)


def _from_environment() -> Failpoint | None:
    given = os.environ.get("CONDENSER_FAILPOINT", "")
    try:
        return Failpoint.parse(given)
    except ValueError:
        return Misread(given)


failpoint: Failpoint | None = _from_environment()


def check_failpoint() -> None:
    """Raises UserError `bad_failpoint` if CONDENSER_FAILPOINT is set to anything but a failpoint."""
    if isinstance(failpoint, Misread):
        failpoint.strike(Path(), None, b"")


@contextmanager
def breaking(fault: Failpoint) -> Iterator[Failpoint]:
    """Sets the failpoint of this process while the block runs; for tests."""
    global failpoint
    before, failpoint = failpoint, fault
    try:
        yield fault
    finally:
        failpoint = before


def _operation(path: Path, file: int | None = None, data: bytes = b"") -> None:
    if failpoint is not None:
        failpoint.strike(path, file, data)


@contextmanager
def _naming(path: Path, needed: int = 0) -> Iterator[None]:
    """Adds the file, and how much space it needs, to an OSError: the kernel names no file if a write or flush fails."""
    try:
        yield
    except FullDiskError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise FullDiskError(error.errno, error.strerror or "", path, needed) from error
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _write(path: Path, file: int, data: bytes) -> None:
    _operation(path, file, data)
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync(path: Path, file: int) -> None:
    _operation(path)
    os.fsync(file)


def sync_folder(folder: Path) -> None:
    """Flushes a folder's directory entries, so that a rename survives a power cut."""
    with _naming(folder):
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _sync(folder, file)
        finally:
            os.close(file)


@contextmanager
def replacing(path: Path, *, private: bool = True) -> Iterator[Path]:
    """A temporary file next to `path`, for libraries that write to a path; it replaces `path` if the block succeeds.

    Only its owner can read the file, unless `private` is False.
    """
    temporary = path.with_name(f".{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        with _naming(path):
            yield temporary
            file = os.open(temporary, os.O_RDONLY)
            try:
                if private and os.fstat(file).st_mode & 0o077:
                    _restrict(temporary, PRIVATE_FILE)
                _sync(path, file)
            finally:
                os.close(file)
            _operation(path)
            _clear(path)
            os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # the disk may fail again: the first error matters more
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _clear(path: Path) -> None:
    """Removes an empty folder that lies where a file belongs; one with content stays, and writing fails."""
    if path.is_dir() and not path.is_symlink():
        with suppress(OSError):
            path.rmdir()


def write_atomic(path: Path, data: bytes, *, private: bool = True) -> None:
    """Writes `data` to `path`; whatever fails meanwhile, the file holds either its old content or the new one.

    Only its owner can read the file; if `private` is False, the umask decides.
    """
    with replacing(path, private=private) as temporary, _naming(path, len(data)):
        _operation(path)
        mode = PRIVATE_FILE if private else SHARED_FILE
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            _write(path, file, data)
        finally:
            os.close(file)


def append_line(path: Path, *lines: bytes, sync: bool = False) -> None:
    """Appends lines, each with its newline, in one write; a last line that a crash left incomplete is ended first.

    Only one process may write at a time: hold `lock` meanwhile. With `sync` the lines survive a power cut, not only a
    crash. Raises ValueError on a newline in a line.
    """
    if any(b"\n" in line for line in lines):
        raise ValueError("append_line takes lines without a newline in them")
    data = b"".join(line + b"\n" for line in lines)
    with _naming(path, len(data)):
        _operation(path)
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
        try:
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            _write(path, file, (b"\n" if torn else b"") + data)
            if sync:
                _sync(path, file)
        finally:
            os.close(file)


def safe_join(root: Path, *parts: str) -> Path:
    """`root/parts…`, guaranteed to be inside `root`; raises UserError `unsafe_path` on anything that could leave it.

    Refused: absolute paths, drive letters, `..`, `.`, empty parts, NUL and other control characters, backslashes,
    names over 255 bytes, and links that lead outside.
    """
    names = [name for part in parts for name in part.split("/")]
    joined = root.joinpath(*names) if all(map(_safe_name, names)) and names else None
    if joined is None or not joined.resolve().is_relative_to(root.resolve()):
        raise UserError(
            "unsafe_path",
            "path",
            "/".join(parts),
            "a name inside its folder, without .., a leading slash, backslashes or control characters",
            "Use a plain relative name.",
        )
    return joined


def _safe_name(name: str) -> bool:
    drive = len(name) >= 2 and name[1] == ":" and name[0].isascii() and name[0].isalpha()
    bare = name not in {"", ".", ".."} and "\\" not in name and not drive
    return bare and not any(ord(c) < 32 or ord(c) == 127 for c in name) and _fits(name)


def _fits(name: str) -> bool:
    try:
        return len(name.encode()) <= LONGEST_NAME
    except UnicodeEncodeError:  # a lone surrogate
        return False


def make_folder(path: Path, *, private: bool = True) -> Path:
    """Creates the folder `path` and its parents, flushed, and returns it; an existing folder is not changed.

    Only their owner may enter the new folders, unless `private` is False.
    """
    if path.is_dir():
        return path
    make_folder(path.parent, private=private)
    _operation(path)
    path.mkdir(PRIVATE_FOLDER if private else SHARED_FOLDER, exist_ok=True)
    sync_folder(path.parent)
    return path


def close_to_others(folder: Path) -> None:
    """Restricts a folder to its owner, if that is us; does nothing on file systems without permissions."""
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o077:
        _restrict(folder, PRIVATE_FOLDER)


def _restrict(path: Path, mode: int) -> None:
    with suppress(PermissionError, NotImplementedError):
        path.chmod(mode)


def move(source: Path, target: Path) -> None:
    """Renames atomically within one file system and flushes both folders; raises FileExistsError if `target` exists."""
    if target.exists() or target.is_symlink():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    _operation(target)
    os.rename(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def link(path: Path, target: str) -> None:
    """Makes `path` a link to `target`, which is relative to its folder; raises FileExistsError if `path` exists."""
    _operation(path)
    os.symlink(target, path)


def move_into(source: Path, target: Path) -> list[Path]:
    """Moves every file of `source` into the folder `target`, with one flush for all; existing names are not replaced.
    Returns the new paths. If anything fails, `target` is left as it was."""
    new: list[Path] = []
    try:
        for path in sorted(source.iterdir()):
            place = target / path.name
            if not place.exists():
                _operation(place)
                os.rename(path, place)
                new.append(place)
        sync_folder(target)
    except BaseException:
        remove_all(new)
        raise
    return new


def remove_all(paths: Iterable[Path]) -> None:
    """Deletes these files, ignoring errors."""
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def touch(path: Path) -> None:
    """Sets the time of `path` to now."""
    _operation(path)
    os.utime(path)


def remove_file(path: Path) -> None:
    """Deletes one file, if it exists."""
    _operation(path)
    path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Deletes a folder with its content, if it exists, without following links."""
    _operation(path)
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@contextmanager
def lock(path: Path, *, wait: bool = True, limit: float | None = None) -> Iterator[bool]:
    """Holds an exclusive lock on the file `path` while the block runs.

    Yields False if another process holds it and `wait` is False, or still holds it after `limit` seconds. The kernel
    releases the lock when the process dies. The file remains: deleting it would allow two locks.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        yield _take(file, wait) if limit is None else _take_within(file, limit)
    finally:
        os.close(file)


class HeldLock:
    """A lock on the file `path` that is taken and released many times, shared or exclusive, without waiting; released
    by the kernel when the process dies. Raises OSError if the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)

    def take(self, *, shared: bool = False) -> bool:
        """Takes the lock; False if another process holds it, unless both share it."""
        return _take(self._file, wait=False, kind=fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def release(self) -> None:
        """Releases the lock, if it is held."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Releases the lock for good."""
        os.close(self._file)


def _take(file: int, wait: bool, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _take_within(file: int, limit: float) -> bool:
    until = time.monotonic() + limit
    while not _take(file, wait=False):
        if time.monotonic() > until:
            return False
        time.sleep(LOCK_POLL)
    return True


def open_log(path: Path) -> BinaryIO:
    """A file opened for appending, for the output of a process we start."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    return os.fdopen(file, "ab", buffering=0)
