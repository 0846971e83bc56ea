"""Draws text as an image: each character in a cell of a square grid, white on black, as large as possible.

Super Characters (Sun et al. 2018, https://arxiv.org/abs/1810.07653): an image classifier then classifies text.
"""

from __future__ import annotations

import math
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
SMALLEST_CELL = 6  # pixels; smaller letters are not recognisable
PROBE = 24  # size in pixels of letters drawn to find out whether a font has them
NOBODY = "\U0010ffff"  # a character that no font has; a font draws the same replacement for every missing character
BLANKS = {"Cc": " ", "Cs": " ", "Zs": " ", "Zl": " ", "Zp": " ", "Cf": ""}  # by Unicode category
BASELINE = 0.78  # of a cell's height
WIDER = (  # searched by name in the system's font folders, in this order, for characters the built-in font lacks
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-zenhei.ttc",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
)
FOLDERS = {
    "darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "linux": ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
}


def plain(text: str) -> str:
    """The text as drawn: NFC-normalized, on one line, without zero-width characters, single spaces between words."""
    composed = unicodedata.normalize("NFC", text)
    shown = (BLANKS.get(unicodedata.category(c), c) for c in composed)
    return " ".join("".join(shown).split())


def room(side: int) -> int:
    """The most characters that fit into a square of `side` pixels."""
    return max(1, side // SMALLEST_CELL) ** 2


def draw(text: str, side: int) -> Pixels:
    """`text` as uint8 [side, side]: row by row in the smallest square grid that holds it; excess text is cut off."""
    letters = plain(text)[: room(side)]
    columns = max(1, math.ceil(math.sqrt(len(letters))))
    cell = max(1, side // columns)
    page = np.zeros((side, side), np.uint8)
    for place, letter in enumerate(letters):
        if letter != " ":
            top, left = (place // columns) * cell, (place % columns) * cell
            page[top : top + cell, left : left + cell] = _glyph(letter, cell)
    return page


def lacking(texts: Iterator[str]) -> Counter[str]:
    """The characters that no font on this machine has, with their counts."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(plain(text))
    return Counter({c: n for c, n in counts.items() if c != " " and _owner(c) is None})


@lru_cache(20_000)
def _glyph(letter: str, cell: int) -> Pixels:
    """uint8 [cell, cell]: the letter, centred on the baseline; its base letter or nothing if no font has it."""
    owner = _owner(letter)
    if owner is None:
        letter = unicodedata.normalize("NFKD", letter)[0]
        owner = _owner(letter)
    image = Image.new("L", (cell, cell))
    if owner is not None:
        font = _font(owner, max(1, round(0.85 * cell)))
        ImageDraw.Draw(image).text((cell / 2, BASELINE * cell), letter, 255, font, anchor="ms")
    return np.asarray(image)


@cache
def _owner(letter: str) -> str | None:
    """The first font with the letter: "" for the built-in one, otherwise a path; None if no font has it."""
    return next((name for name in ("", *_wider()) if _has(name, letter)), None)


def _has(name: str, letter: str) -> bool:
    font = _font(name, PROBE)
    mask = font.getmask(letter)
    return (mask.size, bytes(mask)) != _missing(name) and max(mask.size) > 0


@cache
def _missing(name: str) -> tuple[tuple[int, int], bytes]:
    mask = _font(name, PROBE).getmask(NOBODY)
    return mask.size, bytes(mask)


@lru_cache(256)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    if name:
        return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


@cache
def _wider() -> tuple[str, ...]:
    """The readable files of WIDER on this machine."""
    found: dict[str, str] = {}
    for folder in FOLDERS.get(sys.platform, ()):
        for inner, _, files in os.walk(Path(folder).expanduser()):
            found = {name: os.path.join(inner, name) for name in files if name in WIDER} | found
    return tuple(found[name] for name in WIDER if name in found and _readable(found[name]))


def _readable(path: str) -> bool:
    try:
        ImageFont.truetype(path, PROBE)
    except OSError:
        return False
    return True
