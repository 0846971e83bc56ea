"""Where the photos of the published sets lie once unpacked: torchvision's classes know every layout and label file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.data.dataset import Indices
from core.engine.data.published.unpack import unpack


@dataclass(frozen=True)
class Listing:
    """Paths and labels by split; `groups` names, for each training photo, what must not be torn apart."""

    classes: tuple[str, ...]
    paths: dict[str, list[Path]]
    labels: dict[str, Indices]
    groups: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """torchvision's class, its argument for each split, how it keeps paths and labels, and its class names."""

    kind: str
    splits: Mapping[str, Mapping[str, str]]
    pairs: Callable[[Any], list[tuple[Any, int]]]
    classes: Callable[[Any], list[str]] = lambda data: list(data.classes)
    group: Callable[[Path], str] | None = None


def _lists(data: Any) -> list[tuple[Any, int]]:
    return list(zip(data._image_files, data._labels, strict=True))


def _pets(data: Any) -> list[tuple[Any, int]]:
    return list(zip(data._images, data._labels, strict=True))


def _samples(data: Any) -> list[tuple[Any, int]]:
    return list(data._samples)


def _folders(data: Any) -> list[tuple[Any, int]]:
    return list(data.samples)


def _caltech(data: Any) -> list[tuple[Any, int]]:
    root = Path(data.root, "101_ObjectCategories")
    return [(root / data.categories[y] / f"image_{i:04d}.jpg", y) for i, y in zip(data.index, data.y, strict=True)]


_WHOLE: dict[str, dict[str, str]] = {"train": {}}
_TWO = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {**_TWO, "validation": {"split": "val"}}

LAYOUTS = {
    "eurosat": Layout("EuroSAT", _WHOLE, _folders),
    "gtsrb": Layout(
        "GTSRB",
        _TWO,
        _samples,
        classes=lambda data: [f"sign {number:02d}" for number in range(43)],
        group=lambda path: f"{path.parent.name}/{path.name.split('_')[0]}",  # 30 frames of one sign, one track
    ),
    "flowers102": Layout("Flowers102", _THREE, _lists),
    "oxford-pets": Layout("OxfordIIITPet", {"train": {"split": "trainval"}, "test": {"split": "test"}}, _pets),
    "dtd": Layout("DTD", _THREE, _lists),
    "fgvc-aircraft": Layout("FGVCAircraft", _THREE, _lists),
    "food101": Layout("Food101", _TWO, _lists),
    "imagenette": Layout(
        "Imagenette",
        {"train": {"split": "train", "size": "320px"}, "test": {"split": "val", "size": "320px"}},
        _samples,
        classes=lambda data: [names[0] for names in data.classes],
    ),
    "caltech101": Layout("Caltech101", _WHOLE, _caltech, classes=lambda data: list(data.categories)),
    "country211": Layout("Country211", {**_TWO, "validation": {"split": "valid"}}, _folders),
    "rendered-sst2": Layout("RenderedSST2", _THREE, _samples),
}


def list_photos(name: str, root: Path) -> Listing:
    """The photos of a published set unpacked below `root`, as torchvision reads them."""
    from torchvision import datasets

    layout = LAYOUTS[name]
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


def unpack_inner(name: str, root: Path) -> None:
    """Caltech 101 is a tar inside a zip: takes out the inner one."""
    if name == "caltech101":
        unpack(root / "caltech101" / "caltech-101" / "101_ObjectCategories.tar.gz", root / "caltech101")
