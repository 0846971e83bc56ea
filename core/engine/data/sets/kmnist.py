"""Kuzushiji-MNIST, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import SmallImages, idx_archives
from core.engine.data.published.readers import KANA, Arrays, read_idx_files
from core.options import Words


class Kmnist(SmallImages):
    """70,000 cursive Japanese characters of ten classes (Clanuwat et al. 2018, arXiv:1812.01718)."""

    title = Words("Kuzushiji-MNIST, cursive Japanese", "Kuzushiji-MNIST：日文草书")
    classes = 10
    images = 70_000
    size = 28
    channels = 1
    licence = "CC BY-SA 4.0"
    source = "http://codh.rois.ac.jp/kmnist/"
    archives = idx_archives(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ("bdb82020997e1d708af4cf47b453dcf7", 18_165_135),
        ("e144d726b3acfaa3e44228e80efcd344", 29_497),
        ("5c965bf0a639b31b8f53240b1b52f4d7", 3_041_136),
        ("7320c461ea6c1c855c0b718fb2a4b134", 5_120),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_idx_files(files, KANA)
