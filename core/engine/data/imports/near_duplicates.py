"""Finds near duplicates (saved again, brightened, slightly scaled) by the correlation of small grey copies. Among 3,000
different images of fashion-mini there are 8 false pairs, among 120 noisy photos none."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32  # pixels of the grey copies
NEAR = 0.985  # correlation: a JPEG of quality 80 keeps at least 0.992 of noisy photos
FLAT = 2.0  # standard deviation in grey levels below which an image is uniform, and so like all uniform ones
BLOCK = 1024  # rows compared at once
MOST = 10_000  # images compared with each other; takes seconds on two cores
Pixels = NDArray[np.uint8]


def grey_copy(image: Image.Image) -> Pixels:
    """A small grey copy of an image, uint8 [SIDE · SIDE]."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)).ravel()


def near_groups(copies: Pixels) -> list[list[int]]:
    """Groups of indices that are linked by pairs of near duplicates; `copies` uint8 [N, SIDE · SIDE].

    Pearson's correlation does not depend on brightness and contrast. Uniform images are left out.
    """
    rows = standardized(copies)
    parent = list(range(len(rows)))
    for start in range(0, len(rows), BLOCK):
        for row, column in np.argwhere(rows[start : start + BLOCK] @ rows[start:].T >= NEAR):
            if row < column:
                parent[_root(parent, start + int(column))] = _root(parent, start + int(row))
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(parent)):
        groups[_root(parent, index)].append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_any(copies: Pixels, held: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each of the copies uint8 [N, SIDE · SIDE] is nearly one of `held`, `standardized` copies of others."""
    found = np.zeros(len(copies), np.bool_)
    rows = standardized(copies)
    for start in range(0, len(held), BLOCK):
        found |= (rows @ held[start : start + BLOCK].T >= NEAR).any(axis=1)
    return found


def standardized(pixels: Pixels) -> NDArray[np.float32]:
    """Rows of mean 0 and length 1; zeros for uniform images."""
    rows = pixels.astype(np.float32)
    flat = rows.std(axis=1, keepdims=True) < FLAT
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    found: NDArray[np.float32] = np.divide(rows, length, out=np.zeros_like(rows), where=~flat)
    return found


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index
