"""EMNIST, the balanced split, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import UNSTATED, Archive, SmallImages
from core.engine.data.published.readers import Arrays, read_emnist
from core.options import Words


class EmnistBalanced(SmallImages):
    """131,600 letters and digits of 47 balanced classes (Cohen et al. 2017, arXiv:1702.05373)."""

    title = Words("EMNIST, letters and digits, balanced", "EMNIST：字母与数字，类别均衡")
    classes = 47
    images = 131_600
    size = 28
    channels = 1
    licence = UNSTATED
    source = "https://www.nist.gov/itl/products-and-services/emnist-dataset"
    archives = (
        Archive(
            "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", 562_000_000
        ),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_emnist(files)
