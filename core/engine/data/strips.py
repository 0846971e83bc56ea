"""A row of small images as one PNG, as shown on a dataset's page."""

from __future__ import annotations

import io
from collections.abc import Iterable

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
    out = io.BytesIO()
    row.save(out, "PNG")
    return out.getvalue()


def _tile(image: Image.Image) -> Image.Image:
    small = max(image.size) < TILE
    method = Image.Resampling.NEAREST if small else Image.Resampling.BILINEAR
    return image.convert("RGB").resize((TILE, TILE), method)
