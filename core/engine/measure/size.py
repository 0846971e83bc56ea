"""Size of a file: on disk, and compressed as for a download."""

from __future__ import annotations

import zlib
from hashlib import sha256
from pathlib import Path


def compressed_bytes(path: Path) -> int:
    """Bytes after zlib at level 9: the size in a zip, which reflects the zeros of sparse pruning."""
    return len(zlib.compress(path.read_bytes(), 9))


def file_hash(path: Path) -> str:
    """SHA-256 of the content, in hexadecimal."""
    return sha256(path.read_bytes()).hexdigest()
