"""Reads datasets of small images as arrays directly from their archives; nothing is unpickled."""

from __future__ import annotations

import bz2
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine.data.dataset import Indices
from core.engine.data.imports.zip_reader import Archive
from core.engine.data.published.idx import read_idx
from core.engine.data.published.unpack import tar_members

Pixels = NDArray[np.uint8]
DIGITS = tuple("0123456789")
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
EMNIST = (*DIGITS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abdefghnqrt")  # the 47 balanced classes, in the file's order
STL = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Arrays:
    """Images uint8 [N, C, H, W] with int64 labels, for training and test."""

    classes: tuple[str, ...]
    images: Pixels
    labels: Indices
    test_images: Pixels
    test_labels: Indices


def read_idx_files(files: list[Path], classes: tuple[str, ...]) -> Arrays:
    """Four gzipped idx files: images, labels, test images, test labels; only the first label column is used."""
    arrays = [read_idx(gzip.decompress(file.read_bytes()), file.name) for file in files]
    return _grey(classes, *arrays)


def _grey(classes: tuple[str, ...], images: Pixels, labels: Indices, tests: Pixels, test_labels: Indices) -> Arrays:
    first, second = (each.reshape(len(each), -1)[:, 0].astype(np.int64) for each in (labels, test_labels))
    return Arrays(classes, images[:, None], first, tests[:, None], second)


def read_emnist(files: list[Path]) -> Arrays:
    """One zip of gzipped idx files. EMNIST stores its images transposed; here they are upright."""
    wanted = [f"emnist-balanced-{part}-ubyte.gz" for part in _EMNIST_PARTS]
    with Archive(files[0]) as zipped:
        found = {entry.name.rpartition("/")[2]: entry for entry in zipped.entries}
        arrays = [read_idx(gzip.decompress(zipped.read(found[name])), name) for name in wanted]
    images, labels, tests, test_labels = arrays
    return _grey(EMNIST, images.transpose(0, 2, 1), labels, tests.transpose(0, 2, 1), test_labels)


_EMNIST_PARTS = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")


def read_usps(files: list[Path]) -> Arrays:
    """Two bzip2ed LIBSVM text files: label 1 … 10, then 256 numbers from −1 to 1."""
    halves: list[NDArray[Any]] = []
    for file in files:
        rows = [line.split() for line in bz2.decompress(file.read_bytes()).decode("ascii").splitlines()]
        values = np.array([[cell.rpartition(":")[2] for cell in row[1:]] for row in rows], np.float32)
        pixels = np.round((values + 1) * 127.5).clip(0, 255).astype(np.uint8).reshape(-1, 16, 16)
        halves += [pixels, np.array([int(row[0]) - 1 for row in rows], np.int64)]
    return _grey(DIGITS, *halves)


def read_cifar(files: list[Path], labels: int, names: str, tests: str, classes: tuple[str, ...] = ()) -> Arrays:
    """The binary version: records of `labels` label bytes (the last is used) and 3,072 pixel bytes.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html. `names` is the member with the class names, `tests` that of the
    test images.
    """
    records: dict[str, Pixels] = {}
    for name, file in tar_members(files[0]):
        short = name.rpartition("/")[2]
        if short == names:
            classes = tuple(file.read().decode("ascii").split())
        elif short.endswith(".bin"):
            records[short] = np.frombuffer(file.read(), np.uint8).reshape(-1, labels + 3072)
    held_out = records.pop(tests)
    train = np.concatenate([records[name] for name in sorted(records)])
    parts = [
        (part[:, labels:].reshape(-1, 3, 32, 32), part[:, labels - 1].astype(np.int64)) for part in (train, held_out)
    ]
    return Arrays(classes, *parts[0], *parts[1])


def read_stl10(files: list[Path]) -> Arrays:
    """The labelled part: uint8 images in column-major order, labels from 1."""
    wanted = {"train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"}
    found: dict[str, Pixels] = {}
    for name, file in tar_members(files[0]):
        if (short := name.rpartition("/")[2]) in wanted:
            found[short] = np.frombuffer(file.read(), np.uint8)
    images = {part: found[f"{part}_X.bin"].reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2) for part in ("train", "test")}
    labels = {part: found[f"{part}_y.bin"].astype(np.int64) - 1 for part in ("train", "test")}
    return Arrays(STL, images["train"], labels["train"], images["test"], labels["test"])


def read_svhn(files: list[Path]) -> Arrays:
    """Two MATLAB files: X [32, 32, 3, N] and y, in which 10 is the digit 0."""
    from scipy.io import loadmat

    halves: list[NDArray[Any]] = []
    for file in files:
        content = loadmat(file)
        halves += [content["X"].transpose(3, 2, 0, 1), content["y"].astype(np.int64).ravel() % 10]
    return Arrays(DIGITS, *halves)
