"""Small images as PNG, one or several in a row: what a page shows of a dataset."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TILE, GAP = 96, 4  # pixels


def strip(images: Iterable[Image.Image]) -> bytes:
    """The images side by side, each a square of TILE pixels, on a transparent background; small ones are enlarged
    without smoothing, so that their pixels are visible."""
    tiles = [_tile(image) for image in images]
    width = max(1, len(tiles) * (TILE + GAP) - GAP)
    row = Image.new("RGBA", (width, TILE))
    for place, tile in enumerate(tiles):
        row.paste(tile, (place * (TILE + GAP), 0))
    return _png(row)


def picture(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 [C, H, W] as PNG, small ones enlarged in whole steps so that their pixels are seen."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    times = max(1, -(-TILE // max(image.size)))
    return _png(image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST))


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _tile(image: Image.Image) -> Image.Image:
    small = max(image.size) < TILE
    method = Image.Resampling.NEAREST if small else Image.Resampling.BILINEAR
    return image.convert("RGB").resize((TILE, TILE), method)
