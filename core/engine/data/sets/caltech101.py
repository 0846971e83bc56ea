"""Caltech 101, downloaded on first use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.engine.data.published.load import Archive, Photos
from core.engine.data.published.photo_sets import WHOLE, Layout
from core.engine.data.published.unpack import unpack
from core.options import Words


def photos(data: Any) -> list[tuple[Any, int]]:
    """(path, label) of every photo, as torchvision numbers them."""
    root = Path(data.root, "101_ObjectCategories")
    return [(root / data.categories[y] / f"image_{i:04d}.jpg", y) for i, y in zip(data.index, data.y, strict=True)]


class Caltech101(Photos):
    """8,677 photos of 101 kinds of things (Li et al. 2004), without the background class."""

    title = Words("Caltech 101", "Caltech 101")
    classes = 101
    images = 8677
    size = None
    channels = 3
    licence = "CC BY 4.0"
    source = "https://data.caltech.edu/records/20086"
    archives = (
        Archive(
            "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
            "3138e1922a9193bfa496528edbbc45d0",
            137_414_764,
            "caltech101",
        ),
    )
    layout = Layout("Caltech101", WHOLE, photos, classes=lambda data: list(data.categories))

    def unpacked(self, root: Path) -> None:
        """Unpacks the tar that is inside the zip."""
        unpack(root / "caltech101" / "caltech-101" / "101_ObjectCategories.tar.gz", root / "caltech101")
