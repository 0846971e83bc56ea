"""Files uploaded in the browser, stored in a folder of their own until they are imported.

They are packed unchanged into one zip: their names are data in it, never paths, and it is checked by the same rules as
any other zip. Uploads that are never imported are removed with old answers, after a day.
"""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from core.errors import UserError
from core.files import make_folder, remove_tree, replacing, write_atomic
from core.text.escaping import UserText
from core.text.formatting import size
from core.workspace import Workspace

PREFIX = ".upload-"
LARGEST = 10**9  # bytes of one upload, which is held in memory
MOST_FILES = 20_000


def keep_file(workspace: Workspace, name: str, data: bytes) -> Path:
    """Stores a single file (a zip or a table) under a safe name and returns its path."""
    _check(1, len(data))
    path = _place(workspace) / UserText(name).path()
    return _kept(path, lambda: write_atomic(path, data))


def keep_files(workspace: Workspace, name: str, files: Mapping[str, bytes]) -> Path:
    """Stores files, given by their original paths, as one zip called `name` and returns its path."""
    _check(len(files), sum(map(len, files.values())))
    path = _place(workspace) / f"{UserText(name).path()}.zip"
    return _kept(path, lambda: _pack(path, files.items()))


def drop(workspace: Workspace, path: Path) -> None:
    """Removes an upload; does nothing for any other path."""
    if is_upload(workspace, path):
        remove_tree(path.parent)


def is_upload(workspace: Workspace, path: Path) -> bool:
    """Whether `path` is a file stored by this module."""
    return path.parent.parent == workspace.path / "jobs" and path.parent.name.startswith(PREFIX)


def _check(count: int, total: int) -> None:
    if count > MOST_FILES or total > LARGEST:
        given = f"{count:,} files, {size(total)}"
        fix = "Give the folder's path on this machine instead; it is then read in place."
        raise UserError("upload_too_large", "path", given, f"at most {MOST_FILES:,} files and {size(LARGEST)}", fix)


def _place(workspace: Workspace) -> Path:
    return make_folder(workspace.path / "jobs" / f"{PREFIX}{secrets.token_hex(8)}")


def _kept(path: Path, write: Callable[[], None]) -> Path:
    try:
        write()
    except BaseException:
        remove_tree(path.parent)
        raise
    return path


def _pack(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as packed:
        for name, data in files:
            packed.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode()), data)
