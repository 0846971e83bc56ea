"""MNIST, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import SmallImages, idx_archives
from core.engine.data.published.readers import DIGITS, Arrays, read_idx_files
from core.options import Words


class Mnist(SmallImages):
    """60,000 and 10,000 handwritten digits (LeCun, Cortes, Burges)."""

    title = Words("MNIST, handwritten digits", "MNIST：手写数字")
    classes = 10
    images = 70_000
    size = 28
    channels = 1
    licence = "CC BY-SA 3.0"
    source = "http://yann.lecun.com/exdb/mnist/"
    archives = idx_archives(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
        ("d53e105ee54ea40749a09fcbcd1e9432", 28_881),
        ("9fb629c4189551a2d022fa330f9573f3", 1_648_877),
        ("ec29112dd5afa0611ce80d1b7f02629c", 4_542),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_idx_files(files, DIGITS)
