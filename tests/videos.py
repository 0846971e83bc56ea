"""Clips made by tests. Without PyAV, an extra, tests that need one are skipped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

SHADES = (10, 40, 70, 100, 130, 160, 190, 220, 250, 30, 60, 90)


def clip(path: Path, frames: Iterable[int | NDArray[Any]], rate: int = 10, side: int = 64) -> Path:
    """A video of shades of grey or of grey pictures uint8 [H, W], each enlarged to side × side."""
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'condenser[video]'")
    with av.open(str(path), "w") as made:
        stream = made.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = side, side, "yuv420p", 8_000_000
        for each in frames:
            picture = np.full((side, side), each, np.uint8) if isinstance(each, int) else _enlarged(each, side)
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.stack([picture] * 3, axis=2), format="rgb24")):
                made.mux(packet)
        for packet in stream.encode():
            made.mux(packet)
    return path


def _enlarged(picture: NDArray[Any], side: int) -> NDArray[np.uint8]:
    times = side // picture.shape[0]
    return np.kron(picture, np.ones((times, times), np.uint8)).astype(np.uint8)
