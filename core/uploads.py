"""Files that came through the browser, on their way into a dataset: in a place of their own, until they are read.

They become one zip that holds them as they came: their names are data in it and never paths, and it is judged by the
same rules as a zip of a person's own. What nobody fetches is removed with old answers, after a day.
"""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from core.errors import UserError
from core.escaping import UserText
from core.files import make_folder, remove_tree, replacing, write_atomic
from core.formatting import size
from core.workspace import Workspace

PREFIX = ".upload-"
LARGEST = 10**9  # bytes of one upload: they pass through memory
MOST_FILES = 20_000


def keep_file(workspace: Workspace, name: str, data: bytes) -> Path:
    """A single file, a zip or a table, under a name that is safe."""
    _check(1, len(data))
    path = _place(workspace) / UserText(name).path()
    return _kept(path, lambda: write_atomic(path, data))


def keep_files(workspace: Workspace, name: str, files: Mapping[str, bytes]) -> Path:
    """Files by the path they came under, as one zip called `name`."""
    _check(len(files), sum(map(len, files.values())))
    path = _place(workspace) / f"{UserText(name).path()}.zip"
    return _kept(path, lambda: _pack(path, files.items()))


def drop(workspace: Workspace, path: Path) -> None:
    """Removes an upload; anything else is left alone."""
    if is_upload(workspace, path):
        remove_tree(path.parent)


def is_upload(workspace: Workspace, path: Path) -> bool:
    return path.parent.parent == workspace.path / "jobs" and path.parent.name.startswith(PREFIX)


def _check(count: int, total: int) -> None:
    if count > MOST_FILES or total > LARGEST:
        given = f"{count:,} files, {size(total)}"
        fix = "Give the folder's path on this machine instead: it is then read where it is."
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
