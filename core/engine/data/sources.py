"""What a person hands over, a folder or a zip, as one list of files to be judged and read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.engine.data.archive import MOST_BYTES, MOST_ENTRIES, Archive, DamagedEntry, Entry
from core.engine.data.names import IGNORED, ignored, skip_reason
from core.engine.data.signature import HEAD
from core.errors import UserError

MOST_FILE = 512 * 2**20  # bytes of one image file: 50 megapixels, uncompressed, with 16 bits a channel and alpha


@dataclass(frozen=True)
class Found:
    """One file: its path with `/`, why it is skipped (or ''), and how to read its first bytes and all of it."""

    path: str
    skip: str
    head: Callable[[], bytes]
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    files: list[Found]
    warnings: list[str]


@contextmanager
def opened(path: Path, encoding: str | None = None) -> Iterator[Source]:
    """The files of a folder or zip, without what operating systems leave behind; raises UserError (field `path`)."""
    if path.is_dir():
        yield Source(list(_folder_files(path)), [])
    elif path.is_file():
        with Archive(path, encoding) as archive:
            files = [_zipped(archive, entry) for entry in archive.entries if not ignored(entry.name)]
            yield Source(files, [_told(archive.encoding)] if archive.encoding else [])
    else:
        kind = "nothing is there" if not path.exists() else "not a file or folder"
        raise UserError("missing_path", "path", f"{path} ({kind})", "a folder or zip of images", "Check the path.")


def _told(encoding: str) -> str:
    return f"the zip does not say how its names are written; they were read as {encoding}"


def _zipped(archive: Archive, entry: Entry) -> Found:
    skip = entry.skip or ("larger than 512 MiB" if entry.size > MOST_FILE else "")
    return Found(entry.name, skip, lambda: archive.head(entry), lambda: archive.read(entry))


def _folder_files(root: Path) -> Iterator[Found]:
    count = total = 0
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(set(inner) - IGNORED)
        count += len(inner)
        for link in [name for name in inner if Path(folder, name).is_symlink()]:
            yield _linked(Path(folder, link).relative_to(root))
        for name in sorted(set(files) - IGNORED):
            found, size = _on_disk(Path(folder, name), root)
            count, total = count + 1, total + size
            if count > MOST_ENTRIES or total > MOST_BYTES:
                given = f"more than {MOST_ENTRIES:,} files or {MOST_BYTES:,} bytes"
                fix = "Import a part of the images."
                raise UserError("folder_too_large", "path", given, "at most that many", fix)
            yield found


def _on_disk(file: Path, root: Path) -> tuple[Found, int]:
    """A file of a folder, judged without following links."""
    place = file.relative_to(root)
    facts = file.lstat()
    if not stat.S_ISREG(facts.st_mode):
        return _linked(place), 0
    skip = skip_reason(place.as_posix()) or ("larger than 512 MiB" if facts.st_size > MOST_FILE else "")
    return Found(place.as_posix(), skip, lambda: _head(file), lambda: _read(file)), facts.st_size


def _linked(place: Path) -> Found:
    return Found(place.as_posix(), "a link or device, not a plain file", bytes, bytes)


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(HEAD)
    except OSError:
        return b""


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DamagedEntry(f"it cannot be read: {error.strerror}") from error
