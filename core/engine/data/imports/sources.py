"""The files of an imported folder or zip, to be checked and read."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.engine.data.imports.file_names import ignored, is_ignored, skip_reason
from core.engine.data.imports.file_type import HEAD
from core.engine.data.imports.zip_reader import MOST_BYTES, MOST_ENTRIES, Archive, DamagedEntry, Entry
from core.errors import UserError, shorten

MOST_FILE = 512 * 2**20  # bytes of one image file: 50 megapixels, uncompressed, with 16 bits a channel and alpha


@dataclass(frozen=True)
class Found:
    """One file: its path with `/`, the reason if it is skipped (otherwise ''), and functions that read its first bytes
    and all of it, which raise DamagedEntry."""

    path: str
    skip: str
    head: Callable[[], bytes]
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    """The files to check; all folders by path; the number of ignored files by the hidden or system name in their paths;
    the encoding of names in a zip that do not state theirs, or empty."""

    files: list[Found]
    warnings: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    ignored: Counter[str] = field(default_factory=Counter)
    encoding: str = ""


@contextmanager
def opened(
    path: Path, encoding: str | None = None, tick: Callable[[int], None] = lambda files: None
) -> Iterator[Source]:
    """The files of a folder or zip, without hidden and system files; `tick` is called with the number found so far.
    Raises UserError (field `path`)."""
    if path.is_dir():
        source = Source([])
        source.files.extend(_folder_files(path, source, tick))
        yield source
    elif path.is_file():
        with Archive(path, encoding) as archive:
            _refuse_workbook(path, archive)
            yield _zip_files(archive)
    else:
        kind = "nothing is there" if not path.exists() else "not a file or folder"
        raise UserError("missing_path", "path", f"{path} ({kind})", "a folder or zip of images", "Check the path.")


def _refuse_workbook(path: Path, archive: Archive) -> None:
    """Raises UserError for a spreadsheet, which is a zip too."""
    names = {entry.name for entry in archive.entries}
    if "xl/workbook.xml" in names or {"content.xml", "mimetype"} <= names:
        allowed = "a folder or zip of images, or a CSV file of texts"
        fix = "Save it there as CSV, with the columns text and label."
        raise UserError("workbook", "path", f"{path.name}: a document of an office program", allowed, fix)


def _zip_files(archive: Archive) -> Source:
    files, left = [], Counter[str]()
    for entry in archive.entries:
        part = ignored(entry.name)
        if part:
            left[part] += 1
        else:
            files.append(_zipped(archive, entry))
    above = {parent for found in files for parent in _parents(found.path)}
    folders = above | {folder for folder in archive.folders if not ignored(folder)}
    return Source(files, list(_encoding_remark(archive, files)), folders, left, archive.encoding)


def _parents(path: str) -> Iterator[str]:
    """The folders around a path: `a`, `a/b` for `a/b/c`."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _encoding_remark(archive: Archive, files: list[Found]) -> Iterator[str]:
    if archive.encoding:
        example = next((found.path for found in files if not found.path.isascii()), "")
        yield (
            f"the zip does not state the encoding of its names; they were read as {archive.encoding}"
            f"{f', for example {shorten(example, 80)}' if example else ''}; if that is wrong, use --encoding"
        )


def _zipped(archive: Archive, entry: Entry) -> Found:
    skip = entry.skip or ("larger than 512 MiB" if entry.size > MOST_FILE else "")
    return Found(entry.name, skip, lambda: archive.head(entry), lambda: archive.read(entry))


def _folder_files(root: Path, source: Source, tick: Callable[[int], None]) -> Iterator[Found]:
    """The regular files below `root`; folders and ignored files are recorded in `source`."""
    count = total = 0
    closed: list[OSError] = []
    for folder, inner, files in os.walk(root, onerror=closed.append):
        here = Path(folder)
        for name in filter(is_ignored, inner):
            source.ignored[name] += sum(len(inside) for _, _, inside in os.walk(here / name))
        source.ignored.update(filter(is_ignored, files))
        inner[:] = sorted(name for name in inner if not is_ignored(name))
        for name in inner:
            place = (here / name).relative_to(root)
            if (here / name).is_symlink():
                yield _linked(place)
            source.folders.add(place.as_posix())
        count += len(inner)
        for name in sorted(name for name in files if not is_ignored(name)):
            found, size = _on_disk(here / name, root)
            count, total = count + 1, total + size
            if count > MOST_ENTRIES or total > MOST_BYTES:
                given = f"more than {MOST_ENTRIES:,} files or {MOST_BYTES:,} bytes"
                fix = "Import fewer images at a time."
                raise UserError("folder_too_large", "path", given, "at most that many", fix)
            tick(count)
            yield found
    for problem in closed:
        where = Path(problem.filename).relative_to(root).as_posix()
        yield Found(where, f"the folder cannot be read: {problem.strerror}", bytes, bytes)


def _on_disk(file: Path, root: Path) -> tuple[Found, int]:
    """A file of a folder and its size, without following links."""
    place = file.relative_to(root)
    facts = file.lstat()
    if not stat.S_ISREG(facts.st_mode):
        return _linked(place), 0
    skip = skip_reason(place.as_posix()) or ("larger than 512 MiB" if facts.st_size > MOST_FILE else "")
    return Found(place.as_posix(), skip, lambda: _head(file), lambda: _read(file)), facts.st_size


def _linked(place: Path) -> Found:
    return Found(place.as_posix(), "a link or device, not a regular file", bytes, bytes)


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(HEAD)
    except OSError as error:
        raise DamagedEntry(f"it cannot be read: {error.strerror}") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DamagedEntry(f"it cannot be read: {error.strerror}") from error
