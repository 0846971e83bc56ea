"""The idx format of the MNIST family (http://yann.lecun.com/exdb/mnist/): a big-endian header, then raw numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(data: bytes, field: str = "file") -> NDArray[Any]:
    """The array in an uncompressed idx file; raises UserError if header and length do not match."""
    kind, rank = (data[2], data[3]) if len(data) >= 4 and data[:2] == b"\0\0" else (0, 0)
    if kind not in TYPES or not 1 <= rank <= 4 or len(data) < 4 + 4 * rank:
        raise _damaged(field, "no idx header")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", rank, 4))
    dtype = np.dtype(TYPES[kind])
    if len(data) != 4 + 4 * rank + math.prod(shape) * dtype.itemsize:
        raise _damaged(field, f"{len(data)} bytes for a shape of {shape}")
    return np.frombuffer(data, dtype, offset=4 + 4 * rank).reshape(shape).astype(dtype.newbyteorder("="))


def _damaged(field: str, given: str) -> UserError:
    return UserError("damaged_file", field, given, "an intact idx file", "Delete the file and download it again.")
