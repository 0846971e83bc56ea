"""Files with 16 bits a sample, which Pillow does not write: PNG with sBIT, TIFF with any tags."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

Tag = tuple[int, int, Sequence[int] | str]  # number, type (2 text, 3 and 4 whole numbers), values


def png16(samples: np.ndarray, significant: int = 0) -> bytes:
    """uint16 [H, W], [H, W, 2] (with alpha), [H, W, 3] or [H, W, 4] as a PNG; `significant` bits are stated."""
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">2I5B", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[count], 0, 0, 0)
    stated = _chunk(b"sBIT", bytes([significant] * count)) if significant else b""
    body = _chunk(b"IHDR", header) + stated + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(
    samples: np.ndarray, order: str = "<", *, bits: int = 16, deflate: bool = False, tags: Sequence[Tag] = ()
) -> bytes:
    """uint16 [H, W] or [H, W, 3] as a TIFF of one strip; 12 bits are packed."""
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    pixels = _packed12(samples) if bits == 12 else samples.astype(f"{order}u2").tobytes()
    pixels = zlib.compress(pixels) if deflate else pixels
    entries: list[Tag] = [
        (256, 3, [width]),
        (257, 3, [height]),
        (258, 3, [bits] * count),
        (259, 3, [8 if deflate else 1]),
        (262, 3, [1 if count == 1 else 2]),
        (273, 4, [0]),
        (277, 3, [count]),
        (278, 3, [height]),
        (279, 4, [len(pixels)]),
        *tags,
    ]
    start = 8 + 2 + 12 * len(entries) + 4
    far = [_values(kind, values, order) for _, kind, values in sorted(entries)]
    sizes = [len(data) + len(data) % 2 if len(data) > 4 else 0 for data in far]
    directory, outside = struct.pack(f"{order}H", len(entries)), b""
    for (number, kind, values), data in zip(sorted(entries), far, strict=True):
        length = len(data) if kind == 2 else len(values)
        directory += struct.pack(f"{order}HHI", number, kind, length)
        if number == 273:
            directory += struct.pack(f"{order}I", start + sum(sizes))
        elif len(data) > 4:
            directory += struct.pack(f"{order}I", start + len(outside))
            outside += data + b"\0" * (len(data) % 2)
        else:
            directory += data.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + directory + b"\0\0\0\0" + outside + pixels


def _values(kind: int, values: Sequence[int] | str, order: str) -> bytes:
    if isinstance(values, str):
        return values.encode() + b"\0"
    return b"".join(struct.pack(order + ("H" if kind == 3 else "I"), value) for value in values)


def _packed12(samples: np.ndarray) -> bytes:
    flat = samples.astype(int).ravel().tolist()
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
