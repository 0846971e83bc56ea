"""Draws assets/glyphs: the digits 0 to 9 in many free fonts, in the format of scikit-learn's handwritten digits.

    python assets/make_glyphs.py /usr/share/fonts

The folder holds the fonts of assets/glyphs/fonts.csv, which names each family, its Debian package (bookworm), its
licence and its faces. Each face is drawn four times with a little variation, seeded by its name: height, width,
position and weight. As for the handwritten digits (UCI optdigits) a drawing is a bitmap of 32×32 pixels, black or
white, and a pixel of the 8×8 image counts the inked ones of a block of 4×4. No family is in two splits. How they are
drawn was settled before any adaptation to the handwritten digits was scored; a test holds the hash of the images.

Drawn with Pillow 12 and its FreeType; another version may place an edge otherwise. One sheet a split: a row is one
drawing of a face, its ten images 0 to 9 beside each other.
"""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from core.assets import ASSETS
from core.engine.data.dataset import SPLITS, shuffled
from core.files import write_atomic

FOLDER = ASSETS / "glyphs"
SEED = 20261124
VARIANTS = 4
HELD_OUT = {"validation": 11, "test": 12}  # families; the others are for training
SIDE, BLOCK = 32, 4  # pixels of the bitmap, and of the block that one pixel of the image counts
FINE = 4  # drawn at so many times the bitmap's resolution
LIGHTEST, BOLDEST = 0.35, 0.6  # share of the darkest pixel above which a pixel is inked: low is bold


@dataclass(frozen=True)
class Variation:
    """How one drawing of a face differs: height in pixels of the bitmap, width as a share of the face's own, shift in
    pixels, and from which share of the darkest on a pixel is inked."""

    height: float
    width: float
    shift: tuple[float, float]
    weight: float


def main(fonts: Path) -> None:
    found = {path.name: path for path in sorted(fonts.rglob("*")) if path.suffix.lower() in (".ttf", ".otf")}
    with (FOLDER / "fonts.csv").open(encoding="utf-8", newline="") as file:
        families = [row["files"].split(";") for row in csv.DictReader(file)]
    for split, chosen in zip(SPLITS, split_families(len(families)), strict=True):
        rows = [row for place in chosen for name in families[place] for row in drawings(found[name])]
        png = io.BytesIO()
        Image.fromarray(np.concatenate(rows)).save(png, "PNG", optimize=True)
        write_atomic(FOLDER / f"{split}.png", png.getvalue())
        print(f"{split}: {len(chosen)} families, {10 * len(rows)} images, {len(png.getvalue()):,} bytes")


def split_families(count: int) -> tuple[list[int], list[int], list[int]]:
    """The families of training, validation and test."""
    order = shuffled(count, SEED).tolist()
    first, second = HELD_OUT["validation"], sum(HELD_OUT.values())
    return sorted(order[second:]), sorted(order[:first]), sorted(order[first:second])


def drawings(font: Path) -> list[NDArray[np.uint8]]:
    """The rows [8, 80] of a face: its digits, drawn with as many variations as there are rows."""
    draw = np.random.default_rng([SEED, *font.name.encode()])
    glyphs = [ink(font, str(digit)) for digit in range(10)]
    return [np.concatenate([image(glyph, variation(draw)) for glyph in glyphs], 1) for _ in range(VARIANTS)]


def variation(draw: np.random.Generator) -> Variation:
    shift = draw.uniform(-1, 1, 2)
    return Variation(
        height=draw.uniform(27, 32),
        width=draw.uniform(0.9, 1.15),
        shift=(float(shift[0]), float(shift[1])),
        weight=draw.uniform(LIGHTEST, BOLDEST),
    )


def ink(font: Path, digit: str) -> Image.Image:
    """The glyph in white on black, cut to its ink."""
    face = ImageFont.truetype(font, 256)
    canvas = Image.new("L", (768, 768))
    ImageDraw.Draw(canvas).text((256, 192), digit, fill=255, font=face)
    box = canvas.getbbox()
    if box is None:
        raise SystemExit(f"{font.name} has no {digit}")
    return canvas.crop(box)


def image(glyph: Image.Image, vary: Variation) -> NDArray[np.uint8]:
    """8×8 grey levels: the glyph as a bitmap of 32×32, counted in blocks."""
    side = SIDE * FINE
    height = vary.height * FINE
    width = min(glyph.width * height / glyph.height * vary.width, 28 * FINE)
    drawn = glyph.resize((max(1, round(width)), round(height)), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (side, side))
    free = (side - drawn.width) / 2 + vary.shift[0] * FINE, (side - drawn.height) / 2 + vary.shift[1] * FINE
    canvas.paste(drawn, (round(free[0]), round(free[1])))
    soft = np.asarray(canvas.filter(ImageFilter.GaussianBlur(FINE / 2)), dtype=np.float64) / 255
    grey = soft.reshape(SIDE, FINE, SIDE, FINE).mean((1, 3))
    bitmap = grey > vary.weight * grey.max()  # a hairline is grey all over: it becomes a line, not nothing
    cells = SIDE // BLOCK
    counts = bitmap.reshape(cells, BLOCK, cells, BLOCK).sum((1, 3))
    levels: NDArray[np.uint8] = np.round(counts * (255 / BLOCK**2)).astype(np.uint8)
    return levels


if __name__ == "__main__":
    main(Path(sys.argv[1]))
