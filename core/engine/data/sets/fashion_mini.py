"""A bundled subset of Fashion-MNIST, see assets/make_fashion_mini.py."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import torch
from PIL import Image

from core.assets import ASSETS, shipped
from core.engine.data.dataset import SPLITS, Indices, Split
from core.engine.data.known import Bundled
from core.options import Words

FASHION_MINI = ASSETS / "fashion-mini" / "fashion-mini.npz"
FASHION_SIZES = {"train": 5000, "validation": 1000, "test": 2000}


class FashionMini(Bundled):
    """5,000 training, 1,000 validation and 2,000 test images of Fashion-MNIST, balanced (see its script in assets)."""

    title = Words("Fashion-MNIST, a bundled part", "Fashion-MNIST 的一部分（内置）")
    classes = 10
    images = 8000
    size = 28
    channels = 1
    licence = "MIT (Zalando SE)"
    source = "https://github.com/zalandoresearch/fashion-mnist"
    class_names = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )

    def splits(self, image_size: int) -> tuple[Split, Split, Split]:
        """The three splits, stored one after another in the file."""
        with np.load(shipped(FASHION_MINI), allow_pickle=False) as file:
            pixels = np.asarray(Image.open(io.BytesIO(file["png"].tobytes()), formats=["PNG"]))
            labels = torch.from_numpy(file["labels"].astype(np.int64))
        images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28).copy())
        sizes = list(FASHION_SIZES.values())
        train, validation, test = (
            Split(*both) for both in zip(torch.split(images, sizes), torch.split(labels, sizes), strict=True)
        )
        return train, validation, test


@cache
def _indices() -> dict[str, Indices]:
    with np.load(shipped(FASHION_MINI), allow_pickle=False) as file:
        return {split: file[f"{split}_indices"].astype(np.int64) for split in SPLITS}


def fashion_mini_indices() -> dict[str, Indices]:
    """Where fashion-mini's images are in Fashion-MNIST: `train` and `validation` in its training file of 60,000, `test`
    in its test file of 10,000. Whoever trains on Fashion-MNIST leaves `validation` out."""
    return {split: indices.copy() for split, indices in _indices().items()}
