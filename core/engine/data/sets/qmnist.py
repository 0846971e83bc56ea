"""QMNIST, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import Archive, SmallImages
from core.engine.data.published.readers import DIGITS, Arrays, read_idx_files
from core.options import Words


class Qmnist(SmallImages):
    """MNIST's training digits with 60,000 reconstructed test digits (Yadav and Bottou 2019, arXiv:1905.10498)."""

    title = Words("QMNIST, MNIST with 60,000 test digits", "QMNIST：含 60,000 张测试数字的 MNIST")
    classes = 10
    images = 120_000
    size = 28
    channels = 1
    licence = "BSD-style; see the source"
    source = "https://github.com/facebookresearch/qmnist"
    archives = (
        Archive(
            "https://raw.githubusercontent.com/facebookresearch/qmnist/master/qmnist-train-images-idx3-ubyte.gz",
            "ed72d4157d28c017586c42bc6afe6370",
            9_704_059,
        ),
        Archive(
            "https://raw.githubusercontent.com/facebookresearch/qmnist/master/qmnist-train-labels-idx2-int.gz",
            "0058f8dd561b90ffdd0f734c6a30e5e4",
            463_024,
        ),
        Archive(
            "https://raw.githubusercontent.com/facebookresearch/qmnist/master/qmnist-test-images-idx3-ubyte.gz",
            "1394631089c404de565df7b7aeaf9412",
            9_742_279,
        ),
        Archive(
            "https://raw.githubusercontent.com/facebookresearch/qmnist/master/qmnist-test-labels-idx2-int.gz",
            "5b5b05890a5e13444e108efe57b788aa",
            526_800,
        ),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_idx_files(files, DIGITS)
