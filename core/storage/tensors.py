"""Integrity of data files, checked without other libraries: safetensors, NumPy archives, kept files, JSON.

Layout of safetensors: 8 bytes of header length, JSON, raw tensors (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import lzma
import math
import struct
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from core.storage.sealed import DamagedError, open_document, unwrap

FLOATS: dict[str, Literal["f", "d"]] = {"F32": "f", "F64": "d"}
# What reading a damaged file raises; a zip with one bit flipped may also claim to be encrypted, or packed otherwise.
BROKEN = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
BLANK = "0" * 64  # replaces the seal while the hash is computed


def has_whole_content(path: Path, *, sealed: bool = False) -> bool | None:
    """Whether the content is as it was written, as far as its format shows; None for formats that show nothing.

    `sealed`: safetensors files must contain a matching hash of themselves.
    """
    try:
        match path.suffix:
            case ".kept":
                unwrap(path.read_bytes())
                return True
            case ".npz":
                with zipfile.ZipFile(path) as archive:
                    return archive.testzip() is None
            case ".json":
                open_document(path.read_bytes())
                return True
            case ".safetensors":
                return _matches(path) if sealed else is_finite(path)
    except BROKEN:
        return False
    return None


def is_finite(path: Path) -> bool:
    """Whether a safetensors file can be read and its 32-bit and 64-bit floats are all finite."""
    try:
        header, body = _parts(path.read_bytes())
        return all(_finite(body, entry) for name, entry in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _finite(body: memoryview, entry: dict[str, Any]) -> bool:
    kind = FLOATS.get(entry["dtype"])
    begin, end = entry["data_offsets"]
    return kind is None or math.isfinite(sum(memoryview(body[begin:end]).cast(kind)))


def _parts(data: bytes) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= len(data) - 8:
        raise DamagedError("no header")
    try:
        header = json.loads(data[8 : 8 + length])
    except RecursionError as error:
        raise DamagedError("a header nested too deeply") from error
    if not isinstance(header, dict):
        raise DamagedError("a header that is no JSON object")
    return header, memoryview(data)[8 + length :]


def _matches(path: Path) -> bool:
    """Whether the hash in the header matches the file or, for older files, its tensors."""
    data = path.read_bytes()
    header, body = _parts(data)
    known = header["__metadata__"]
    if "seal" not in known:
        return bool(sha256(body).hexdigest() == known["sha256"])
    text = data[: len(data) - len(body)].replace(known["seal"].encode(), BLANK.encode(), 1)
    digest = sha256(text)
    digest.update(body)
    return bool(digest.hexdigest() == known["seal"])
