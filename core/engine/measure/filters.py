"""The kernels of a convolution as small pictures, and which of them are gone after pruning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.engine.png import as_png, upright

Kernels = NDArray[np.float32]  # [out, in, height, width]


def pictures(kernels: Kernels) -> tuple[str, ...]:
    """A PNG a kernel, in base64: grey is 0, white and black the largest weight of all; of three inputs in colour, of
    others their mean."""
    largest = max(float(np.abs(kernels).max()), 1e-12)
    shown = kernels if kernels.shape[1] == 3 else kernels.mean(axis=1, keepdims=True)
    levels = (127.5 * (1 + shown / largest)).round().clip(0, 255).astype(np.uint8)
    return tuple(as_png(upright(one)) for one in levels)


def removed(before: Kernels, after: Kernels) -> tuple[int, ...]:
    """The places in `before` of the kernels that have no counterpart in `after`, which has fewer.

    Pruning keeps the order of channels, and training afterwards changes them a little: so they are paired in order,
    with the largest sum of cosines (Needleman & Wunsch 1970, without a cost for gaps).
    """
    cosines = _unit(after) @ _unit(before).T
    best = np.full((len(after) + 1, len(before) + 1), -np.inf)
    best[0] = 0.0
    for row in range(1, len(after) + 1):
        for column in range(row, len(before) + 1):
            paired = best[row - 1, column - 1] + cosines[row - 1, column - 1]
            best[row, column] = max(best[row, column - 1], paired)
    return _unpaired(best)


def _unpaired(best: NDArray[np.float64]) -> tuple[int, ...]:
    """Back along the best path: where a column changed nothing, it was left out."""
    row, gone = best.shape[0] - 1, []
    for column in range(best.shape[1] - 1, 0, -1):
        if row > 0 and (column == row or best[row, column] != best[row, column - 1]):
            row -= 1
        else:
            gone.append(column - 1)
    return tuple(reversed(gone))


def _unit(kernels: Kernels) -> NDArray[np.float64]:
    rows = kernels.reshape(len(kernels), -1).astype(np.float64)
    unit: NDArray[np.float64] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
