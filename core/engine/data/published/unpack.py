"""Unpacks a downloaded, checked archive: regular files only, inside their folder, within limits."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from core.engine.data.imports.file_names import ignored
from core.engine.data.imports.zip_reader import Archive, DamagedEntry
from core.errors import UserError
from core.files import safe_join

MOST_BYTES = 50 * 2**30
MOST_FILES = 1_000_000
DAMAGED = (tarfile.TarError, EOFError, zlib.error)
Tick = Callable[[int], None]  # files done


def unpack(archive: Path, folder: Path, tick: Tick | None = None) -> None:
    """Unpacks a .tar, .tar.gz, .tgz or .zip below `folder`; raises UserError on links and names that leave it."""
    if archive.suffix == ".zip":
        _unzip(archive, folder, tick)
        return
    try:
        for done, (name, file) in enumerate(tar_members(archive), 1):
            with open(_place(folder, name), "wb") as out:
                shutil.copyfileobj(file, out, 2**20)
            if tick:
                tick(done)
    except DAMAGED as error:
        raise _refused(archive, str(error)) from error


def tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """(name, file) of every regular file in a tar, in order; each must be read before the next is requested."""
    total = count = 0
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                if member.isdir() or ignored(member.name) or member.name.rpartition("/")[2].startswith("._"):
                    continue
                total, count = total + member.size, count + 1
                if not member.isreg() or total > MOST_BYTES or count > MOST_FILES:
                    raise _refused(archive, member.name)
                file = tar.extractfile(member)
                assert file is not None
                yield member.name.removeprefix("./"), file
    except DAMAGED as error:
        raise _refused(archive, str(error)) from error


def _unzip(archive: Path, folder: Path, tick: Tick | None) -> None:
    with Archive(archive) as zipped:
        for done, entry in enumerate(zipped.entries, 1):
            if ignored(entry.name):
                continue
            try:
                with open(_place(folder, entry.name), "wb") as out:
                    out.writelines(zipped.chunks(entry))
            except DamagedEntry as error:
                raise _refused(archive, f"{entry.name}: {error}") from error
            if tick:
                tick(done)


def _place(folder: Path, name: str) -> Path:
    target = safe_join(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _refused(archive: Path, given: str) -> UserError:
    allowed = "an intact archive of regular files"
    return UserError("damaged_archive", archive.name, given, allowed, "Delete it and download it again.")
