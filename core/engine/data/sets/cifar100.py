"""CIFAR-100, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import UNSTATED, Archive, SmallImages
from core.engine.data.published.readers import Arrays, read_cifar
from core.options import Words


class Cifar100(SmallImages):
    """60,000 photos of a hundred classes (Krizhevsky 2009), by their fine labels; the binary archive."""

    title = Words("CIFAR-100", "CIFAR-100")
    classes = 100
    images = 60_000
    size = 32
    channels = 3
    licence = UNSTATED
    source = "https://www.cs.toronto.edu/~kriz/cifar.html"
    archives = (
        Archive(
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", 168_513_733
        ),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_cifar(files, 2, "fine_label_names.txt", "test.bin")
