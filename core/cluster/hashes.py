"""The hashes of many files, kept between processes: a file is read again only when its length or its time changed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from core.files import make_folder
from core.storage.sealed import file_hash, read_kept, write_kept


class Hashes:
    """SHA-256 of files below `root`, remembered in its cache."""

    def __init__(self, root: Path) -> None:
        self._file = root / "cache" / "hashes" / "files.kept"
        self._known: dict[str, str] = {}
        self._changed = False
        with suppress(ValueError, AttributeError):
            kept = json.loads(read_kept(self._file) or b"{}")
            self._known = {str(mark): str(digest) for mark, digest in kept.items()}

    def of(self, path: Path) -> str:
        """The hash of a file's content; raises OSError if it cannot be read."""
        found = path.stat()
        mark = f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{path}"
        if mark not in self._known:
            self._known[mark] = file_hash(path)
            self._changed = True
        return self._known[mark]

    def keep(self) -> None:
        """Writes down what was learned; a full disk only costs time later."""
        if self._changed:
            with suppress(OSError):
                make_folder(self._file.parent)
                write_kept(self._file, json.dumps(self._known).encode())
            self._changed = False
