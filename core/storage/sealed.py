"""Files that carry the hash of their own content, so that damage is always detected.

A document is JSON whose first key is `seal`, the SHA-256 of everything after it; older documents have no seal and are
read unchecked. A kept file is a cache entry: a line with the SHA-256 of the rest, then the rest.
"""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from core.files import touch, write_atomic

HEAD = b'{"seal":"'
DIGEST = 64  # hexadecimal digits
HEX = frozenset(b"0123456789abcdef")


class DamagedError(ValueError):
    """The content is not what was written."""


class Opened(NamedTuple):
    """A document without its seal, and whether it had one."""

    body: bytes
    sealed: bool


def seal(document: bytes) -> bytes:
    """A JSON object with its seal as the first key; the rest is unchanged, byte for byte."""
    if document[:1] != b"{":
        raise ValueError("only a JSON object can be sealed")
    rest = document[1:]
    tail = rest if rest.lstrip()[:1] == b"}" else b"," + rest
    return HEAD + _digest(tail) + b'"' + tail


def unseal(data: bytes) -> Opened:
    """The document in `data`; raises DamagedError if the seal does not match or is itself damaged."""
    if data[: len(HEAD)] != HEAD:
        if _resembles_seal(data):
            raise DamagedError("its seal is damaged")
        return Opened(data, False)
    end = len(HEAD) + DIGEST
    tail = data[end + 1 :]
    if data[end : end + 1] != b'"' or data[len(HEAD) : end] != _digest(tail):
        raise DamagedError("its content does not match its seal")
    return Opened(b"{" + tail.removeprefix(b","), True)


def _resembles_seal(data: bytes) -> bool:
    """Whether the data begin with a seal whose key was damaged: nearly all places of its hash hold hexadecimal
    digits."""
    place = data[len(HEAD) : len(HEAD) + DIGEST]
    return sum(byte in HEX for byte in place) >= DIGEST - 1


def open_document(data: bytes) -> Opened:
    """As `unseal`; without a seal it must at least be a JSON object, as every document is. Raises DamagedError."""
    found = unseal(data)
    if not found.sealed:
        try:
            told = json.loads(found.body)
        except (ValueError, RecursionError) as error:
            raise DamagedError("it is not JSON") from error
        if not isinstance(told, dict):
            raise DamagedError("it is not a JSON object")
    return found


def read_sealed(path: Path) -> bytes:
    """The document in a file, with or without a seal; raises DamagedError or OSError."""
    return open_document(path.read_bytes()).body


def write_kept(path: Path, data: bytes) -> None:
    """Writes `data` after its hash, atomically; see `read_kept`."""
    write_atomic(path, _digest(data) + b"\n" + data)


def read_kept(path: Path) -> bytes | None:
    """What `write_kept` wrote; None if it is missing, damaged or unreadable: it can be made again."""
    try:
        found = unwrap(path.read_bytes())
    except (OSError, DamagedError):
        return None
    used(path)
    return found


def used(path: Path) -> None:
    """Records, as the modification time of `path`, that a cache entry was used now (see
    `core.workspace_files.cache.make_room`)."""
    with suppress(OSError):  # a read-only workspace
        touch(path)


def unwrap(data: bytes) -> bytes:
    """The content of a kept file; raises DamagedError."""
    digest, content = data[:DIGEST], data[DIGEST + 1 :]
    if data[DIGEST : DIGEST + 1] != b"\n" or digest != _digest(content):
        raise DamagedError("its content does not match its hash")
    return content


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal, read in blocks; raises OSError."""
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _digest(data: bytes) -> bytes:
    return sha256(data).hexdigest().encode()
