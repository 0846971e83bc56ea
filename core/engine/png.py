"""Pictures that an answer to a question holds."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def as_png(pixels: NDArray[np.uint8]) -> str:
    """Levels [H, W] or [H, W, 3] as PNG, in base64."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def upright(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[1 or 3, H, W] as [H, W] or [H, W, 3]."""
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)
