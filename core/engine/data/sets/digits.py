"""Handwritten digits of scikit-learn."""

from __future__ import annotations

import numpy as np
import torch

from core.engine.data.dataset import SEED, Split, carve
from core.engine.data.known import Bundled
from core.options import Words


class Digits(Bundled):
    """1,797 handwritten digits of 8×8 pixels, 17 grey levels, scaled to 0 … 255 (scikit-learn, UCI)."""

    title = Words("Handwritten digits, 8×8", "手写数字，8×8")
    classes = 10
    images = 1797
    size = 8
    channels = 1
    licence = "CC BY 4.0 (UCI)"
    source = "https://archive.ics.uci.edu/dataset/80"
    class_names = tuple("0123456789")

    def splits(self, image_size: int) -> tuple[Split, Split, Split]:
        """1,197, 240 and 360 images, stratified."""
        from sklearn.datasets import load_digits

        data = load_digits()
        pixels = np.round(data.images * (255 / 16)).astype(np.uint8)
        whole = Split(torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(data.target.astype(np.int64)))
        test, rest = carve(whole, 360, SEED)
        validation, train = carve(rest, 240, SEED)
        return train, validation, test
