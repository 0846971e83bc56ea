"""Size of a file: as it lies on disk, and as a download would carry it."""

from __future__ import annotations

import zlib
from hashlib import sha256
from pathlib import Path


def compressed_bytes(path: Path) -> int:
    """Bytes after zlib at level 9: what a zip holds, and where zeros left by sparse pruning show."""
    return len(zlib.compress(path.read_bytes(), 9))


def file_hash(path: Path) -> str:
    """SHA-256 of the content, in hexadecimal."""
    return sha256(path.read_bytes()).hexdigest()
