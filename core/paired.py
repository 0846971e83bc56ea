"""Two models on the same test images: how many only one of them classifies correctly, and McNemar's test on that."""

from __future__ import annotations

import ast
import math
import sys
import zipfile
import zlib
from array import array
from functools import lru_cache
from io import BytesIO
from pathlib import PurePosixPath
from typing import NamedTuple

from core.artifacts import read_artifact
from core.bundle import PREDICTIONS
from core.points import Point
from core.runs import Run

MAGIC = b"\x93NUMPY"
UNREADABLE = (OSError, ValueError, KeyError, SyntaxError, zipfile.BadZipFile, zlib.error)  # a UserError is a ValueError


Answers = tuple[tuple[int, ...], tuple[int, ...]]  # answers and labels of the test images


class Paired(NamedTuple):
    """Numbers of test images that only the first model classifies correctly (`gained`), or only the second (`lost`)."""

    gained: int
    lost: int

    @property
    def chance(self) -> float:
        """The exact two-sided p-value of McNemar's test: the probability of a split at least as uneven by chance."""
        count, fewer = self.gained + self.lost, min(self.gained, self.lost)
        tail = sum(math.comb(count, k) for k in range(fewer + 1))
        return min(1.0, float(2 * tail / 2**count))


def paired(run: Run, one: Point, other: Point, run_of_other: Run | None = None) -> Paired | None:
    """The comparison of two models, from the answers stored next to their files; None if those are missing, damaged,
    or of different images. The other is one of `run` too, unless its run is given."""
    try:
        mine, theirs = _answers(run, one), _answers(run_of_other or run, other)
    except UNREADABLE:
        return None
    if mine is None or theirs is None or mine[1] != theirs[1]:
        return None
    rows = list(zip(mine[0], theirs[0], mine[1], strict=True))
    gained = sum(a == label != b for a, b, label in rows)
    return Paired(gained, sum(b == label != a for a, b, label in rows))


def _answers(run: Run, point: Point) -> Answers | None:
    if not point.artifact:
        return None
    path = str(PurePosixPath(point.artifact).with_name(PREDICTIONS))
    return _parsed(read_artifact(run, path))


@lru_cache(maxsize=64)
def _parsed(data: bytes) -> Answers:
    with zipfile.ZipFile(BytesIO(data)) as file:
        answers, labels = (integers(file.read(f"test_{name}.npy")) for name in ("answers", "labels"))
    return answers, labels


def integers(data: bytes) -> tuple[int, ...]:
    """The integers in a one-dimensional little-endian int64 .npy file
    (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html); raises ValueError for any other
    file."""
    wide = 2 if data[6:7] == b"\x01" else 4
    begin = 8 + wide
    end = begin + int.from_bytes(data[8:begin], "little")
    header = ast.literal_eval(data[begin:end].decode())
    if data[:6] != MAGIC or header["descr"] != "<i8" or len(header["shape"]) != 1:
        raise ValueError(f"an array of other numbers: {header}")
    found = array("q", data[end:])
    if sys.byteorder == "big":
        found.byteswap()
    if len(found) != header["shape"][0]:
        raise ValueError(f"{len(found)} numbers of {header['shape'][0]}")
    return tuple(found)
