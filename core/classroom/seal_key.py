"""The key with which the server of a class seals hand-ins. It never leaves the teacher's workspace: who lacks it cannot
change a sealed hand-in without being found out."""

from __future__ import annotations

import hmac
import re
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from core.classroom.places import class_of
from core.files import lock, make_folder, write_atomic

FILE = "seal.key"
HEX = re.compile(r"[0-9a-f]{64}")


def key_name(root: Path) -> str:
    """What tells this workspace's key from others': the start of its hash; empty while there is none."""
    key = _read(root)
    return sha256(b"name" + key).hexdigest()[:16] if key else ""


def sign(root: Path, document: bytes) -> str:
    """HMAC-SHA256 of a document under this workspace's key, which is made when it is first needed."""
    return hmac.new(_made(root), document, sha256).hexdigest()


def is_signed(root: Path, document: bytes, signature: str) -> bool:
    """Whether this workspace has signed exactly that document."""
    key = _read(root)
    return bool(key) and hmac.compare_digest(hmac.new(key, document, sha256).hexdigest(), signature)


def _made(root: Path) -> bytes:
    folder = make_folder(class_of(root))
    with lock(folder / "key.lock"):
        if not _read(root):
            write_atomic(folder / FILE, secrets.token_hex(32).encode())
    return _read(root)


def _read(root: Path) -> bytes:
    with suppress(OSError, ValueError):
        text = (class_of(root) / FILE).read_text(encoding="ascii")
        return bytes.fromhex(text) if HEX.fullmatch(text) else b""
    return b""
