"""STL-10, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import Archive, SmallImages
from core.engine.data.published.readers import Arrays, read_stl10
from core.options import Words


class Stl10(SmallImages):
    """The 13,000 labelled photos (Coates, Lee, Ng 2011)."""

    title = Words("STL-10", "STL-10")
    classes = 10
    images = 13_000
    size = 96
    channels = 3
    licence = "as ImageNet: research and education"
    source = "https://cs.stanford.edu/~acoates/stl10/"
    archives = (
        Archive(
            "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "91f7769df0f17e558f3565bffb0c7dfb",
            2_640_397_119,
        ),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_stl10(files)
