"""Errors of the disk in a form people can act on: which file, how much was needed, how much is free, what to do."""

from __future__ import annotations

import errno
import shutil
from contextlib import suppress
from pathlib import Path

from core.errors import UserError
from core.files import FULL, FullDiskError
from core.text.formatting import size

HEALTH = (errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT)  # network drives included
FORBIDDEN = (errno.EACCES, errno.EPERM)
LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOLCK, errno.EAGAIN, errno.ENOMEM)
PLACES = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EXDEV,
    errno.EFBIG,
    errno.EBUSY,
    errno.ETXTBSY,
    errno.ENODATA,
)
CODES = ("disk_full", "disk_quota", "disk_read_only", "disk_fault", "no_permission", "machine_limit", "unusable_path")


def disk_error(error: OSError, near: Path | None = None) -> UserError | None:
    """The error as a UserError, or None if it has nothing to do with the disk.

    `near` is a path on the disk in question, for an error that names no file.
    """
    path = Path(_text(error.filename)) if error.filename else near
    given = str(path) if path else "a file"
    said = error.strerror or str(error)
    if error.errno in FULL:
        return _full(error, path, given)
    if error.errno == errno.EROFS:
        fix = "Mount it writable, or choose a workspace on another disk with --workspace."
        return UserError("disk_read_only", "disk", given, "a file system that can be written to", fix)
    if error.errno == errno.EIO or (error.errno in HEALTH and error.filename):
        fix = f"The disk or its connection reports an error ({said}). Check it, then run the command again."
        return UserError("disk_fault", "disk", given, "a disk that can be read and written", fix)
    if error.errno in FORBIDDEN:
        fix = f"Change its permissions or those of the folder it is in ({said}), or choose another place."
        return UserError("no_permission", "path", given, "a file or folder that you may read and write", fix)
    if error.errno in LIMITS:
        fix = f"The machine has run out of them ({said}). Close other programs, then run the command again."
        return UserError("machine_limit", "machine", given, "free memory, processes and open files", fix)
    if error.errno in PLACES and path is not None:
        return UserError("unusable_path", "path", given, "a usable path", _about_place(said, error))
    return None


def pause_reason(error: OSError, near: Path) -> str:
    """Why a run paused for lack of space: what it tried to write, how much that takes, how much is free."""
    path = Path(_text(error.filename)) if error.filename else near
    needed, free = error.needed if isinstance(error, FullDiskError) else 0, free_bytes(path)
    why = "your quota on this disk is used up" if error.errno == errno.EDQUOT else "the disk is full"
    takes = f"writing {path} needs {size(needed)}" if needed else f"{path} could not be written"
    there = f", {size(free)} are free" if free is not None else ""
    more = f" at least {size(needed - free)}" if free is not None and needed > free else " some space"
    return f"{why}: {takes}{there}. Free{more}, then resume"


def disk_message(error: OSError, near: Path | None = None) -> str:
    """The error in one line, for a log or the cause of a pause."""
    found = disk_error(error, near)
    return str(error) if found is None else f"{error.strerror}: {found.given}. Needed: {found.allowed}. {found.fix}"


def free_bytes(path: Path) -> int | None:
    """Bytes free for this user on the disk of `path`, which need not exist yet; None if that is unknown."""
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None


def _full(error: OSError, path: Path | None, given: str) -> UserError:
    needed = error.needed if isinstance(error, FullDiskError) else 0
    free = free_bytes(path) if path else None
    space = f"{size(needed)} of free space" if needed else "free space"
    allowed = space if free is None else f"{space}, where {size(free)} are free"
    if error.errno == errno.EDQUOT:
        fix = "Your quota on this disk is used up. Delete files or ask for a larger quota, then try again."
        return UserError("disk_quota", "disk", given, allowed, fix)
    fix = "The disk is full. Free some space, or choose a workspace on another disk with --workspace; then try again."
    return UserError("disk_full", "disk", given, allowed, fix)


def _about_place(said: str, error: OSError) -> str:
    link = Path(_text(error.filename))
    with suppress(OSError):
        if link.is_symlink() and not link.exists():
            return f"It is a link to {link.readlink()}, which is missing. Restore that file, or remove the link."
    return f"{said}. Check that no other file is at this path or above it, and that it was not removed meanwhile."


def _text(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
