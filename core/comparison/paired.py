"""The answers stored next to two models' files: on how many of the same test images only one of them is right."""

from __future__ import annotations

import ast
import os
import sys
import zipfile
import zlib
from array import array
from functools import lru_cache, partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from core.comparison.difference import Paired, Pairing
from core.comparison.gap import judged
from core.points import Point
from core.run_files.artifacts import read_artifact
from core.run_files.bundle import PREDICTIONS
from core.runs import Run, RunSummary

MAGIC = b"\x93NUMPY"
UNREADABLE = (OSError, ValueError, KeyError, SyntaxError, zipfile.BadZipFile, zlib.error)  # a UserError is a ValueError
MOST_KEPT = 20_000  # models whose right answers are kept in memory: a bit an image, and about 200 bytes

Stamp = tuple[int, int]  # of a file: when it was written, in nanoseconds, and its size


class Right(NamedTuple):
    """Which test images a model classifies correctly, a bit an image, and a hash of all their labels."""

    images: int
    labels: bytes


def pairing(run: Run) -> Pairing:
    """Compares two models of that run, for what judges differences."""
    return partial(paired, run)


def with_verdicts(run: Run, summary: RunSummary) -> RunSummary:
    """The summary with the verdict about each gain from a teacher; see `core.comparison.gap.judged`."""
    return summary.model_copy(update={"points": judged(summary.points, summary.controls, pairing(run))})


def paired(run: Run, one: Point, other: Point) -> Paired | None:
    """The comparison of two models of a run, from the answers stored next to their files; None if those are missing,
    damaged, or of different images."""
    return compared(right(run, one.artifact), right(run, other.artifact))


def compared(one: Right | None, other: Right | None) -> Paired | None:
    """On how many images only one of two models is right; None unless both answered the same images."""
    if one is None or other is None or one.labels != other.labels:
        return None
    return Paired((one.images & ~other.images).bit_count(), (other.images & ~one.images).bit_count())


def right(run: Run, artifact: str | None) -> Right | None:
    """What the model in the file `artifact`, a path relative to the run's folder, classifies correctly, by its stored
    answers; None if those are missing or not as they were saved. Of a run that has ended they are read again only if
    they, or its summary, were written to."""
    if not artifact:
        return None
    path = str(PurePosixPath(artifact).with_name(PREDICTIONS))
    try:
        if not run.result.exists():
            return _read(run, path)
        return _kept(str(run.folder), path, _stamp(run.folder / path), _stamp(run.result))
    except UNREADABLE:
        return None


@lru_cache(maxsize=MOST_KEPT)
def _kept(folder: str, path: str, _written: Stamp, _settled: Stamp) -> Right:
    return _read(Run(Path(folder)), path)


def _read(run: Run, path: str) -> Right:
    with zipfile.ZipFile(BytesIO(read_artifact(run, path))) as file:
        answers, labels = (integers(file.read(f"test_{name}.npy")) for name in ("answers", "labels"))
    marks = "".join("1" if answer == label else "0" for answer, label in zip(answers, labels, strict=True))
    return Right(int(marks or "0", 2), sha256(array("q", labels)).digest())


def _stamp(path: Path) -> Stamp:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size


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
