"""Builds assets/fashion-mini/fashion-mini.npz from the four files of Fashion-MNIST.

    python assets/make_fashion_mini.py /usr/share/datasets/fashion-mnist

Seeded and stratified: 5,000 training and 1,000 validation images from the training file, 2,000 from the test file,
500, 100 and 200 a class. The images lie below each other in one grey PNG (3.2 MB; plain npz compression needs 3.5 MB)
inside an npz without pickle, beside the labels and the indices of every image in Fashion-MNIST.
"""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.engine.data.dataset import SEED, draw
from core.engine.data.published.idx import read_idx
from core.engine.data.sets.fashion_mini import FASHION_MINI, FASHION_SIZES
from core.files import write_atomic


def main(folder: Path) -> None:
    images, labels = read(folder, "train")
    test_images, test_labels = read(folder, "t10k")
    train, rest = draw(labels, FASHION_SIZES["train"], SEED)
    held_out, _ = draw(labels[rest], FASHION_SIZES["validation"], SEED)
    validation = rest[held_out]
    test, _ = draw(test_labels, FASHION_SIZES["test"], SEED)
    chosen = np.concatenate([images[train], images[validation], test_images[test]])
    file = io.BytesIO()
    np.savez_compressed(
        file,
        allow_pickle=False,
        png=strip(chosen),
        labels=np.concatenate([labels[train], labels[validation], test_labels[test]]).astype(np.uint8),
        train_indices=train.astype(np.uint16),
        validation_indices=validation.astype(np.uint16),
        test_indices=test.astype(np.uint16),
    )
    write_atomic(FASHION_MINI, file.getvalue())
    print(f"{FASHION_MINI.name}: {len(chosen):,} images, {len(file.getvalue()):,} bytes")


def read(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images = read_idx(gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes()))
    labels = read_idx(gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes()))
    return images, labels.astype(np.int64)


def strip(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The images below each other as the bytes of one PNG."""
    png = io.BytesIO()
    Image.fromarray(images.reshape(-1, images.shape[2])).save(png, "PNG", optimize=True)
    return np.frombuffer(png.getvalue(), np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
