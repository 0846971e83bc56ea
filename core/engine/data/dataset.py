"""A dataset in the engine: uint8 images and labels in three splits, and their description."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.engine.data.selection import choose
from core.errors import UserError, shorten

SPLITS = ("train", "validation", "test")
SEED = 20170828  # of all splits drawn here: the date of Fashion-MNIST's publication
AT_ONCE = 1024  # images read together to be hashed
Where = Literal["bundled", "installed", "download", "own"]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """`images` uint8 [N, C, H, W] and `labels` int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Sequence[int] | Tensor | Indices) -> Split:
        """The chosen images in the given order, not copied."""
        chosen = torch.as_tensor(np.asarray(indices), dtype=torch.int64)
        return Split(choose(self.images, chosen), self.labels[chosen])


@dataclass(frozen=True)
class Cut:
    """How pictures of any size became the images of a dataset, so that later pictures are converted in the same way.

    `shape`: crop, pad or stretch; `white`: the value of white in 16-bit images; `stored`: whether they were first
    shrunk and re-encoded, as an import does.
    """

    shape: str = "crop"
    white: int = 65535
    stored: bool = False


@dataclass(frozen=True)
class Dataset:
    """`train` is for training, `validation` for choosing, `test` for reporting. `size` is the images' side in pixels;
    `content_hash` identifies exactly these images, labels and splits; `notes` are remarks for people; `cut` is None if
    the images came as small squares. An `unlabelled` set has labels of −1 in `train`, an empty `validation`, and in
    `test` those of its images that have a label."""

    name: str
    title: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    licence: str
    source: str
    size: int
    channels: int
    content_hash: str
    notes: tuple[str, ...] = ()
    cut: Cut | None = None
    unlabelled: bool = False


@dataclass(frozen=True)
class DatasetInfo:
    """The description of a dataset, known without loading it. `classes` and `images` are counts; `size` is None for
    photos, which come at the requested size; `bytes` is about what remains to download (0 if `at_hand`),
    `download_bytes` the whole download; `class_names` are empty if they are known only after loading; `unlabelled` sets
    cannot be trained on alone."""

    name: str
    title: str
    classes: int
    images: int
    size: int | None
    channels: int
    licence: str
    source: str
    where: Where
    bytes: int
    at_hand: bool
    class_names: tuple[str, ...] = ()
    title_zh: str = ""
    download_bytes: int = 0
    unlabelled: bool = False

    def to_json(self) -> dict[str, Any]:
        """As in the catalog and in the output of `condenser list datasets --json`."""
        facts = asdict(self)
        return facts if self.unlabelled else {key: value for key, value in facts.items() if key != "unlabelled"}


def shuffled(count: int, seed: int) -> Indices:
    """The numbers 0 … count − 1 in an order determined by `seed`, the same on all machines and NumPy versions.

    Sorts by SplitMix64 (Steele, Lea, Flood 2014) of seed and index: a counter, not a stream.
    """
    with np.errstate(over="ignore"):
        start = _mix(np.array([seed % 2**64], dtype=np.uint64))
        keys = _mix(start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.argsort(keys, kind="stable").astype(np.int64)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def share_out(available: Indices, total: int) -> Indices:
    """How many of `total` to take from each class: in proportion to `available`, at least one of each class that has
    any (largest remainders; the sum is exactly `total`). Requires: number of such classes ≤ total ≤ sum of
    available."""
    exact = available * (total / max(available.sum(), 1))
    given: Indices = np.maximum(np.floor(exact).astype(np.int64), np.minimum(available, 1))
    while (missing := total - int(given.sum())) != 0:
        if missing > 0:
            given[np.argmax(np.where(given < available, exact - given, -np.inf))] += 1
        else:
            given[np.argmax(np.where(given > 1, given - exact, -np.inf))] -= 1
    return given


def draw(labels: Indices, total: int, seed: int) -> tuple[Indices, Indices]:
    """(chosen, left): `total` indices drawn at random, stratified by class, and all others; both ascending."""
    available = np.unique(labels, return_counts=True)[1].astype(np.int64)
    return _taken(labels, share_out(available, total), seed)


def _taken(labels: Indices, wanted: Indices, seed: int) -> tuple[Indices, Indices]:
    """(chosen, left): `wanted` random indices of each class, and all others; both ascending."""
    _, codes, available = np.unique(labels, return_inverse=True, return_counts=True)
    order = shuffled(len(labels), seed)
    by_class = order[np.argsort(codes[order], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(available)[:-1]])
    rank = np.arange(len(labels)) - np.repeat(starts, available)
    chosen = by_class[rank < np.repeat(wanted, available)]
    left = np.setdiff1d(np.arange(len(labels)), chosen)
    return np.sort(chosen), left


def few_labels(split: Split, count: int, classes: int, seed: int) -> tuple[Split, Tensor]:
    """`count` labelled images, stratified with at least one per class, and the other images without labels.

    Raises UserError if `count` is below the number of classes or above the number of images.
    """
    if not classes <= count <= len(split):
        raise UserError(
            "out_of_range",
            "labels",
            count,
            f"a whole number from {classes} (one per class) to {len(split)} (all training images)",
            f"The nearest allowed value is {min(max(count, classes), len(split))}.",
        )
    chosen, left = draw(split.labels.numpy().astype(np.int64), count, seed)
    return split.subset(chosen), choose(split.images, left)


def few_shots(split: Split, shots: int, classes: Sequence[str], seed: int) -> tuple[Split, Tensor]:
    """`shots` labelled images of each class, and the other images without labels.

    Raises UserError if a class has fewer.
    """
    counts = np.bincount(split.labels.numpy(), minlength=len(classes))
    smallest = int(counts.argmin())
    if not 1 <= shots <= counts[smallest]:
        allowed = f"a whole number from 1 to {counts[smallest]}, the training images of the smallest class"
        fewest = f"The class {shorten(classes[smallest])} has no more images"
        fix = f"{fewest}: set shots to {counts[smallest]} or less, or choose another dataset."
        raise UserError("out_of_range", "shots", shots, allowed, fix)
    labels = split.labels.numpy().astype(np.int64)
    chosen, left = _taken(labels, np.full(len(classes), shots, np.int64), seed)
    return split.subset(chosen), choose(split.images, left)


def labelled_part(split: Split, labels: int, shots: int, classes: Sequence[str], seed: int) -> tuple[Split, Tensor]:
    """The part of a training split whose labels may be used, and the images of the rest: `labels` in all, or `shots`
    per class, or everything if both are 0."""
    if shots:
        return few_shots(split, shots, classes, seed)
    if labels and labels < len(split):
        return few_labels(split, labels, len(classes), seed)
    return split, split.images[:0]


def carve(split: Split, total: int, seed: int) -> tuple[Split, Split]:
    """(carved, rest): `total` images taken from a split at random, stratified, and the others."""
    chosen, left = draw(split.labels.numpy().astype(np.int64), total, seed)
    return split.subset(chosen), split.subset(left)


def hash_splits(classes: Sequence[str], *splits: Split) -> str:
    """SHA-256 of class names, shapes, pixels and labels, in that order."""
    digest = hashlib.sha256(repr(tuple(classes)).encode())
    for split in splits:
        digest.update(repr(tuple(split.images.shape)).encode())
        for block in torch.split(split.images, AT_ONCE):
            digest.update(block.contiguous().numpy().data)
        digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()
