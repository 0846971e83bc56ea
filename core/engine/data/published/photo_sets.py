"""Finds the photos and labels of unpacked published datasets, using torchvision's classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.data.dataset import Indices


@dataclass(frozen=True)
class Listing:
    """Paths and labels by split; `groups` names the group of each training photo that must stay in one split."""

    classes: tuple[str, ...]
    paths: dict[str, list[Path]]
    labels: dict[str, Indices]
    groups: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """torchvision's class, its arguments for each split, and functions for its (path, label) pairs, class names and
    groups."""

    kind: str
    splits: Mapping[str, Mapping[str, str]]
    pairs: Callable[[Any], list[tuple[Any, int]]]
    classes: Callable[[Any], list[str]] = lambda data: list(data.classes)
    group: Callable[[Path], str] | None = None


def lists(data: Any) -> list[tuple[Any, int]]:
    """(path, label) of every photo, for torchvision classes with two lists."""
    return list(zip(data._image_files, data._labels, strict=True))


def pets(data: Any) -> list[tuple[Any, int]]:
    """(path, label) of every photo, for torchvision's OxfordIIITPet."""
    return list(zip(data._images, data._labels, strict=True))


def samples(data: Any) -> list[tuple[Any, int]]:
    """(path, label) of every photo, for torchvision classes with pairs."""
    return list(data._samples)


def folders(data: Any) -> list[tuple[Any, int]]:
    """(path, label) of every photo, for torchvision classes with one folder per class."""
    return list(data.samples)


WHOLE: dict[str, dict[str, str]] = {"train": {}}
TWO = {"train": {"split": "train"}, "test": {"split": "test"}}
THREE = {**TWO, "validation": {"split": "val"}}


def list_photos(layout: Layout, root: Path) -> Listing:
    """The photos of a published dataset unpacked below `root`, as torchvision reads them."""
    from torchvision import datasets

    kind = getattr(datasets, layout.kind)
    paths: dict[str, list[Path]] = {}
    labels: dict[str, Indices] = {}
    classes: list[str] = []
    for split, arguments in layout.splits.items():
        data = kind(str(root), **arguments)
        pairs = layout.pairs(data)
        classes = layout.classes(data)
        paths[split] = [Path(path) for path, _ in pairs]
        labels[split] = np.array([label for _, label in pairs], np.int64)
    groups = [layout.group(path) for path in paths["train"]] if layout.group else []
    return Listing(tuple(classes), paths, labels, groups)
