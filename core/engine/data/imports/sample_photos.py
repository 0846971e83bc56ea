"""Colour images to try things out: drawn by this script, with stripes that a small network can distinguish.

They are dedicated to the public domain (CC0 1.0).
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.engine.data.imports.class_folders import Arrangement
from core.engine.data.imports.cleaning import Filled
from core.engine.data.imports.decoder_pool import Decoded
from core.engine.data.imports.images import Delivery, checked_name, store
from core.engine.data.photos import Progress
from core.questions.import_data import Imported

NAMES = ("bark", "grass", "sand", "water", "brick", "cloud", "leaf", "stone")
TINTS = ((150, 100, 70), (80, 150, 70), (200, 180, 120), (70, 110, 180))
WAVES = (4.0, 9.0, 15.0)  # stripes across an image
NOISE = 24.0  # standard deviation, of 255 grey levels
COUNT, SIDE, CLASSES, SEED = 120, 72, 4, 0
REMARK = "these images were drawn by a script that comes with Condenser (CC0 1.0); they show stripes, not photos"


def import_sample_photos(name: str, folder: Path, progress: Progress) -> Imported:
    """Makes the dataset `name` in `folder`: 120 drawn images of 72 pixels in 4 classes; raises UserError on a bad
    name."""
    name = checked_name(name, folder)
    paths = [f"{NAMES[number % CLASSES]}/photo-{number:04d}.png" for number in range(COUNT)]
    layout = Arrangement({path: path.partition("/")[0] for path in paths}, dict.fromkeys(paths))

    def fill(place: Path) -> Filled:
        draw = np.random.default_rng((SEED, COUNT, SIDE, CLASSES))
        drawn = {}
        for number, path in enumerate(paths):
            drawn[path] = _stored(photo(number % CLASSES, CLASSES, SIDE, draw), place)
            progress("drawing samples", number + 1, COUNT)
        return Filled(drawn)

    return store(name, folder, Delivery(layout, [], [REMARK]), fill)


def photo(label: int, classes: int, side: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """One image uint8 [side, side, 3] of class `label`. A class has a tint and a direction of stripes; variations of
    the tint, width and phase of the stripes, and noise are drawn for each image."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    angle = np.pi * (label + draw.uniform(-0.2, 0.2)) / classes
    along = rows * np.sin(angle) + columns * np.cos(angle)
    stripes = np.sin(2 * np.pi * (draw.choice(WAVES) * along + draw.uniform()))
    tint = np.asarray(TINTS[label % len(TINTS)]) + draw.normal(0, 30, 3)
    pixels = tint + 35 * stripes[..., None] + draw.normal(0, NOISE, (side, side, 3))
    rounded: NDArray[np.uint8] = pixels.clip(0, 255).round().astype(np.uint8)
    return rounded


def _stored(pixels: NDArray[np.uint8], place: Path) -> Decoded:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    file = f"{hashlib.sha256(out.getvalue()).hexdigest()}.png"
    (place / file).write_bytes(out.getvalue())
    height, width, channels = pixels.shape
    return Decoded("PNG", width, height, channels, hashlib.sha256(pixels.tobytes()).hexdigest(), file, (), b"")
