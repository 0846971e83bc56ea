"""The number of images in each split of a dataset, found without decoding them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch

from core.engine.data.cache import read_cache
from core.engine.data.catalog import datasets, load_dataset
from core.engine.data.dataset import SPLITS, Dataset, DatasetInfo, Split
from core.engine.data.imports.imported import find_home, read_own
from core.engine.data.published.load import TEST, VALIDATION, Published
from core.engine.data.sets import known_datasets
from core.errors import UserError, nearest
from core.rules.pool import without_labels


@dataclass(frozen=True)
class Counted:
    """`data` is the dataset without pixels: its images are [N, C, 0, 0]. `exact`: whether the counts are those of the
    splits on disk, and not just shares of the published total."""

    data: Dataset
    exact: bool


def count_dataset(name: str, image_size: int, folder: Path, *, unlabelled: bool = False) -> Counted:
    """The result of `load_dataset` without pixels and without a download; raises its UserErrors."""
    home = find_home(name, folder)
    known = datasets(folder)
    if name not in known and home is None:
        raise UserError("unknown_dataset", "dataset", name, "a dataset of the list", nearest(name, known))
    if home is not None and (name not in known or known[name].where == "own"):
        found = _own(home, image_size)
        if found.unlabelled and not unlabelled:
            raise without_labels("dataset", name)
        return Counted(found, True)
    if known[name].where in ("bundled", "installed"):
        return Counted(_bundled(name, known[name].size or image_size), True)
    published = known_datasets()[name]
    if isinstance(published, Published):
        path = published.cache_path(folder, published.size or image_size)
        if path.is_file():
            return Counted(_stored(path, path.stat().st_mtime_ns), True)
    return Counted(_published(known[name], image_size), False)


def _own(home: Path, image_size: int) -> Dataset:
    card = read_own(home).card
    counts = [sum(image.split == split for image in card.images) for split in SPLITS]
    size = min(image_size, card.side or image_size)
    hollow = _hollow(card.name, tuple(card.classes), counts, size, card.channels)
    return replace(hollow, unlabelled=card.unlabelled)


@cache
def _bundled(name: str, image_size: int) -> Dataset:
    return _emptied(load_dataset(name, image_size))


@cache
def _stored(path: Path, changed: int) -> Dataset:
    """The cache file at `path`; `changed`, its time in nanoseconds, is part of the memory's key."""
    data = read_cache(path)
    if data is None:
        fix = "Load it again: a run with this dataset makes the file again."
        raise UserError("damaged_dataset", "dataset", path.parent.name, "an intact cache file", fix)
    return _emptied(data)


def _emptied(data: Dataset) -> Dataset:
    counts = [len(getattr(data, split)) for split in SPLITS]
    return _hollow(data.name, data.classes, counts, data.size, data.channels)


def _published(info: DatasetInfo, image_size: int) -> Dataset:
    """The counts that result if this program splits the dataset."""
    test, validation = round(TEST * info.images), round(VALIDATION * info.images)
    counts = [info.images - test - validation, validation, test]
    classes = tuple(f"class {number}" for number in range(info.classes))
    return _hollow(info.name, classes, counts, info.size or image_size, info.channels)


def _hollow(name: str, classes: tuple[str, ...], counts: list[int], size: int, channels: int) -> Dataset:
    train, validation, test = (_split(count, channels, len(classes)) for count in counts)
    return Dataset(
        name=name,
        title=name,
        classes=classes,
        train=train,
        validation=validation,
        test=test,
        licence="",
        source="",
        size=size,
        channels=channels,
        content_hash="",
    )


def _split(count: int, channels: int, classes: int) -> Split:
    return Split(torch.empty(count, channels, 0, 0, dtype=torch.uint8), torch.arange(count) % max(classes, 1))
