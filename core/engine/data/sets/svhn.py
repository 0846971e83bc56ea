"""SVHN, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import Archive, SmallImages
from core.engine.data.published.readers import Arrays, read_svhn
from core.options import Words


class Svhn(SmallImages):
    """99,289 digits of house numbers (Netzer et al. 2011)."""

    title = Words("SVHN, house numbers", "SVHN：门牌号码")
    classes = 10
    images = 99_289
    size = 32
    channels = 3
    licence = "non-commercial use"
    source = "http://ufldl.stanford.edu/housenumbers/"
    archives = (
        Archive(
            "http://ufldl.stanford.edu/housenumbers/train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794
        ),
        Archive(
            "http://ufldl.stanford.edu/housenumbers/test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384
        ),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_svhn(files)
