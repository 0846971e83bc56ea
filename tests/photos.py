"""Colour photos made on the spot: a folder of PNG files, one folder a class, that a small network can learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from core.engine.data.imports.sample_photos import NAMES, photo


def make_photos(folder: Path, count: int = 120, side: int = 72, classes: int = 4, seed: int = 0) -> Path:
    """Writes `count` PNG files of `side` × `side` pixels into `classes` folders of `folder`, which is returned.

    No two are the same; the same arguments give the same pixels.
    """
    draw = np.random.default_rng((seed, count, side, classes))
    for number in range(count):
        label = number % classes
        home = folder / NAMES[label]
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(label, classes, side, draw)).save(home / f"photo-{number:04d}.png")
    return folder
