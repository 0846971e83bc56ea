"""CIFAR-10, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import UNSTATED, Archive, SmallImages
from core.engine.data.published.readers import Arrays, read_cifar
from core.options import Words


class Cifar10(SmallImages):
    """60,000 photos of ten classes (Krizhevsky 2009); the binary archive, because the other one is pickled."""

    title = Words("CIFAR-10", "CIFAR-10")
    classes = 10
    images = 60_000
    size = 32
    channels = 3
    licence = UNSTATED
    source = "https://www.cs.toronto.edu/~kriz/cifar.html"
    archives = (
        Archive(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 170_052_171
        ),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_cifar(files, 1, "batches.meta.txt", "test_batch.bin")
