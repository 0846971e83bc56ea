"""Colour photos made on the spot: a folder of PNG files, one folder a class, that a small network can learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NAMES = ("bark", "grass", "sand", "water", "brick", "cloud", "leaf", "stone")
TINTS = ((150, 100, 70), (80, 150, 70), (200, 180, 120), (70, 110, 180))
WAVES = (4.0, 9.0, 15.0)  # stripes across an image
NOISE = 24.0  # standard deviation, of 255 grey levels


def make_photos(folder: Path, count: int = 120, side: int = 72, classes: int = 4, seed: int = 0) -> Path:
    """Writes `count` PNG files of `side` × `side` pixels into `classes` folders of `folder`, which is returned.

    A class has a tint and a direction of its stripes; tint, width and phase of the stripes and the noise are drawn for
    each image, so no two are the same. The same arguments give the same pixels.
    """
    draw = np.random.default_rng((seed, count, side, classes))
    for number in range(count):
        label = number % classes
        home = folder / NAMES[label]
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_photo(label, classes, side, draw)).save(home / f"photo-{number:04d}.png")
    return folder


def _photo(label: int, classes: int, side: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """One image [side, side, 3] of class `label`."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    angle = np.pi * (label + draw.uniform(-0.2, 0.2)) / classes
    along = rows * np.sin(angle) + columns * np.cos(angle)
    stripes = np.sin(2 * np.pi * (draw.choice(WAVES) * along + draw.uniform()))
    tint = np.asarray(TINTS[label % len(TINTS)]) + draw.normal(0, 30, 3)
    pixels = tint + 35 * stripes[..., None] + draw.normal(0, NOISE, (side, side, 3))
    rounded: NDArray[np.uint8] = pixels.clip(0, 255).round().astype(np.uint8)
    return rounded
