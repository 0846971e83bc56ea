"""Imported datasets: `dataset.json` and `images/`, in a folder named by a hash.

Names chosen by a person (of the dataset, its classes, its files) are data in dataset.json, never part of a path.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from core.engine.data.cache import read_cache, write_cache
from core.engine.data.dataset import SPLITS, Cut, Dataset, DatasetInfo, Split
from core.engine.data.photos import Progress, photo_part
from core.errors import UserError
from core.files import safe_join
from core.own.datasets import CARD, damaged, find_home, home_of, normal_name
from core.storage.sealed import DamagedError, read_sealed

__all__ = [
    "SCHEMA",
    "VERSIONS",
    "OwnDataset",
    "OwnImage",
    "Stored",
    "find_home",
    "home_of",
    "load_own",
    "normal_name",
    "own_datasets",
    "own_info",
    "own_names",
    "read_own",
    "read_version",
    "version_of",
]
SCHEMA = 1
VERSIONS = "versions"  # the cards before each change, named by their content hash


class OwnImage(BaseModel):
    """One image: its stored file (content hash), class number, split and original name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    file: str
    label: int
    split: str
    name: str


class OwnDataset(BaseModel):
    """The content of dataset.json. `side` is the images' common side in pixels if all are squares of one size,
    otherwise 0; `shape` and `white` say how pictures become images of the dataset (see Cut). `before` is the content
    hash of the previous version; the dataset is also found under its `former_names`. `group_by` keeps the
    images of one object in one split (splitting.group_of).

    Of an `unlabelled` set the images without a label (−1) are the training split, and those with one the test split;
    `classes` are the classes of the latter, which may be none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int
    name: str
    classes: list[str]
    channels: int
    side: int
    images: list[OwnImage]
    skipped: list[dict[str, str]]
    warnings: list[str]
    shape: str = "crop"
    white: int = 65535
    before: str = ""
    former_names: list[str] = []
    group_by: str = ""
    unlabelled: bool = False

    def content_hash(self) -> str:
        """SHA-256 of classes, files (whose names are content hashes), labels, splits and shape; names do not count."""
        images = [(image.file, image.label, image.split) for image in self.images]
        facts = [self.classes, self.channels, images, *([self.shape] if self.shape != "crop" else [])]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def counts(self) -> dict[str, int]:
        """The number of images per class, in the order of the classes."""
        counted = Counter(image.label for image in self.images)
        return {name: counted[label] for label, name in enumerate(self.classes)}


@dataclass(frozen=True)
class Stored:
    """An imported dataset and its folder."""

    home: Path
    card: OwnDataset


def read_own(home: Path) -> Stored:
    """The card of an imported dataset; raises UserError if it is damaged."""
    try:
        card = OwnDataset.model_validate_json(read_sealed(home / CARD))
    except (ValidationError, DamagedError, OSError) as error:
        raise damaged(home) from error
    return Stored(home, card)


def read_version(home: Path, version: str) -> Stored:
    """The card of the version with that content hash (empty: the newest); raises UserError."""
    newest = read_own(home)
    if version in ("", newest.card.content_hash()):
        return newest
    path = home / VERSIONS / f"{version}.json"
    try:
        card = OwnDataset.model_validate_json(read_sealed(safe_join(home, VERSIONS, f"{version}.json")))
    except FileNotFoundError as error:
        fix = "Start a new run: it uses the dataset as it is now."
        given = f"{newest.card.name}, version {version[:12]}"
        raise UserError("unknown_version", "dataset", given, "an existing version", fix) from error
    except (ValidationError, DamagedError, OSError) as error:
        given = f"{home.name}/{VERSIONS}/{path.name}"
        fix = "Start a new run: it uses the dataset as it is now."
        raise UserError("damaged_dataset", "dataset", given, "an intact version", fix) from error
    return Stored(home, card)


def version_of(name: str, folder: Path) -> str:
    """The current content hash of an imported dataset; empty for other datasets, and for a damaged one."""
    home = find_home(name, folder)
    try:
        return read_own(home).card.content_hash() if home is not None else ""
    except UserError:
        return ""


def own_names(folder: Path) -> list[str]:
    """The names and former names of all imported datasets."""
    cards = [stored.card for stored in own_datasets(folder).values()]
    return [name for card in cards for name in (card.name, *card.former_names)]


def own_datasets(folder: Path) -> dict[str, Stored]:
    """All imported datasets by name; damaged ones are left out (loading them by name reports the damage)."""
    found = {}
    for home in sorted(folder.glob("own-*")):
        try:
            stored = read_own(home)
        except UserError:
            continue
        found[stored.card.name] = stored
    return found


def own_info(stored: Stored) -> DatasetInfo:
    """The description of an imported dataset for lists."""
    card = stored.card
    return DatasetInfo(
        name=card.name,
        title=card.name,
        classes=len(card.classes),
        images=len(card.images),
        size=card.side or None,
        channels=card.channels,
        licence="your own",
        source="imported",
        where="own",
        bytes=0,
        at_hand=True,
        class_names=tuple(card.classes),
        unlabelled=card.unlabelled,
    )


def load_own(stored: Stored, image_size: int, progress: Progress) -> Dataset:
    """The imported images at `image_size`; if all are smaller squares of one size, they keep that size."""
    size = min(image_size, stored.card.side or image_size)
    digest = stored.card.content_hash()
    path = stored.home / "cache" / f"{digest[:16]}-{size}.safetensors"
    card, done = stored.card, 0
    cut = Cut(card.shape, card.white, stored=True)
    cached = read_cache(path)
    if cached is not None:
        return replace(cached, cut=cut, unlabelled=card.unlabelled)

    def tick(images: int) -> None:
        nonlocal done
        done += images
        progress("decoding", done, len(card.images))

    parts = {}
    for split in SPLITS:
        images = [image for image in card.images if image.split == split]
        paths = [safe_join(stored.home, "images", image.file) for image in images]
        labels = np.array([image.label for image in images], np.int64)
        parts[split] = photo_part(paths, labels, size, card.channels, tick, card.shape)
    write_cache(path, _described(card, size, digest), parts)
    written = read_cache(path)
    assert written is not None
    return replace(written, cut=cut, unlabelled=card.unlabelled)


def _described(card: OwnDataset, size: int, digest: str) -> Dataset:
    nothing: Any = Split(torch.empty(0, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
    return Dataset(
        name=card.name,
        title=card.name,
        classes=tuple(card.classes),
        train=nothing,
        validation=nothing,
        test=nothing,
        licence="your own",
        source="imported",
        size=size,
        channels=card.channels,
        content_hash=digest,
        notes=tuple(card.warnings),
    )
