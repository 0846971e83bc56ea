"""Digits drawn in free fonts, see assets/make_glyphs.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.assets import ASSETS, shipped
from core.engine.data.dataset import Split
from core.engine.data.known import Bundled
from core.options import Words

GLYPHS = ASSETS / "glyphs"


class Glyphs(Bundled):
    """6,560 digits drawn in 67 families of free fonts, none in two splits, as 8×8 pixels like the handwritten ones."""

    title = Words("Digits in printed fonts, 8×8", "印刷字体的数字，8×8")
    classes = 10
    images = 6560
    size = 8
    channels = 1
    licence = "CC0 1.0; of the fonts OFL, Apache 2.0, Bitstream Vera, public domain"
    source = "assets/make_glyphs.py, from Debian's font packages"
    class_names = tuple("0123456789")

    def splits(self, image_size: int) -> tuple[Split, Split, Split]:
        """One sheet of digits per split."""
        return _sheet(GLYPHS / "train.png"), _sheet(GLYPHS / "validation.png"), _sheet(GLYPHS / "test.png")


def _sheet(path: Path) -> Split:
    """A sheet whose rows are the digits 0 to 9 in a row, 8×8 pixels each."""
    with Image.open(shipped(path), formats=["PNG"]) as sheet:
        pixels = np.asarray(sheet)
    images = pixels.reshape(-1, 8, 10, 8).swapaxes(1, 2).reshape(-1, 1, 8, 8)
    return Split(torch.from_numpy(images.copy()), torch.arange(10).repeat(len(pixels) // 8))
