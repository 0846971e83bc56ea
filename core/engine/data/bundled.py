"""The datasets that need no download: scikit-learn's digits, a part of Fashion-MNIST, drawn digits and sentences."""

from __future__ import annotations

import csv
import io
import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from core.assets import ASSETS, shipped
from core.engine.data.dataset import SPLITS, Dataset, Indices, Split, carve, draw, hash_splits
from core.engine.data.lettering import draw as draw_text

FASHION_MINI = ASSETS / "fashion-mini" / "fashion-mini.npz"
GLYPHS = ASSETS / "glyphs"
GLYPHS_LICENCE = "CC0 1.0; of the fonts OFL, Apache 2.0, Bitstream Vera, public domain"
GLYPHS_SOURCE = "assets/make_glyphs.py, from Debian's font packages"
DIGIT_CLASSES = tuple(str(digit) for digit in range(10))
FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
FASHION_LICENCE = "MIT (Zalando SE)"
FASHION_SOURCE = "https://github.com/zalandoresearch/fashion-mnist"
FASHION_SIZES = {"train": 5000, "validation": 1000, "test": 2000}
TEXT_SAMPLE = ASSETS / "text-sample"
TEXT_LICENCE = "CC0 1.0 (written for this project)"
TEXT_SOURCE = "assets/make_text_sample.py"
TEXT_SIZES = {"test": 240, "validation": 180}
SEED = 20170828  # of every split we draw ourselves: the day Fashion-MNIST appeared


def load_digits() -> Dataset:
    """1,797 handwritten digits of 8×8 pixels, 17 grey levels, scaled to 0 … 255 (scikit-learn, UCI)."""
    from sklearn.datasets import load_digits as bunch

    data = bunch()
    pixels = np.round(data.images * (255 / 16)).astype(np.uint8)
    whole = Split(torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(data.target.astype(np.int64)))
    test, rest = carve(whole, 360, SEED)
    validation, train = carve(rest, 240, SEED)
    return Dataset(
        name="digits",
        title="Handwritten digits, 8×8",
        classes=DIGIT_CLASSES,
        train=train,
        validation=validation,
        test=test,
        licence="CC BY 4.0 (UCI)",
        source="https://archive.ics.uci.edu/dataset/80",
        size=8,
        channels=1,
        content_hash=hash_splits(DIGIT_CLASSES, train, validation, test),
    )


def load_glyphs() -> Dataset:
    """6,560 digits drawn in 67 families of free fonts, none in two splits, as 8×8 pixels like the handwritten ones."""
    train, validation, test = (_sheet(shipped(GLYPHS / f"{split}.png")) for split in SPLITS)
    return Dataset(
        name="glyphs",
        title="Digits in printed fonts, 8×8",
        classes=DIGIT_CLASSES,
        train=train,
        validation=validation,
        test=test,
        licence=GLYPHS_LICENCE,
        source=GLYPHS_SOURCE,
        size=8,
        channels=1,
        content_hash=hash_splits(DIGIT_CLASSES, train, validation, test),
    )


def _sheet(path: Path) -> Split:
    """A sheet whose rows are the digits 0 to 9 beside each other, 8×8 pixels each."""
    with Image.open(path, formats=["PNG"]) as sheet:
        pixels = np.asarray(sheet)
    images = pixels.reshape(-1, 8, 10, 8).swapaxes(1, 2).reshape(-1, 1, 8, 8)
    return Split(torch.from_numpy(images.copy()), torch.arange(10).repeat(len(pixels) // 8))


def load_fashion_mini() -> Dataset:
    """5,000 training, 1,000 validation and 2,000 test images of Fashion-MNIST, balanced (see its script in assets)."""
    with np.load(shipped(FASHION_MINI), allow_pickle=False) as file:
        pixels = np.asarray(Image.open(io.BytesIO(file["png"].tobytes()), formats=["PNG"]))
        labels = torch.from_numpy(file["labels"].astype(np.int64))
    images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28).copy())
    ends = np.cumsum(list(FASHION_SIZES.values()))
    parts = [slice(end - size, end) for end, size in zip(ends, FASHION_SIZES.values(), strict=True)]
    train, validation, test = (Split(images[part], labels[part]) for part in parts)
    return _fashion("fashion-mini", "Fashion-MNIST, a bundled part", train, validation, test)


def text_sample() -> tuple[list[str], tuple[str, ...], dict[str, Indices], Indices]:
    """(sentences, topics, where the sentences of each split stand, labels [N]) of the bundled table."""
    with shipped(TEXT_SAMPLE / "sentences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    topics = tuple(sorted({row["label"] for row in rows}))
    labels = np.array([topics.index(row["label"]) for row in rows], np.int64)
    places = {}
    left = np.arange(len(rows))
    for split, count in TEXT_SIZES.items():
        chosen, others = draw(labels[left], count, SEED)
        places[split], left = left[chosen], left[others]
    return [row["text"] for row in rows], topics, {**places, "train": left}, labels


@cache
def load_text_sample(image_size: int) -> Dataset:
    """1,200 artificial sentences about four topics, each drawn in a square of `image_size` pixels."""
    texts, topics, places, labels = text_sample()
    pages = torch.from_numpy(np.stack([draw_text(text, image_size) for text in texts])).unsqueeze(1)
    whole = Split(pages, torch.from_numpy(labels))
    train, validation, test = (whole.subset(places[split]) for split in SPLITS)
    bag = json.loads(shipped(TEXT_SAMPLE / "bag-of-words.json").read_bytes())
    return Dataset(
        name="text-topics",
        title="Sentences about four topics, drawn as images",
        classes=topics,
        train=train,
        validation=validation,
        test=test,
        licence=TEXT_LICENCE,
        source=TEXT_SOURCE,
        size=image_size,
        channels=1,
        content_hash=hash_splits(topics, train, validation, test),
        notes=("the sentences are artificial: filled templates", str(bag["told"])),
    )


@cache
def _indices() -> dict[str, Indices]:
    with np.load(shipped(FASHION_MINI), allow_pickle=False) as file:
        return {split: file[f"{split}_indices"].astype(np.int64) for split in SPLITS}


def fashion_mini_indices() -> dict[str, Indices]:
    """Where fashion-mini's images stand in Fashion-MNIST: `train` and `validation` in its training file of 60,000,
    `test` in its test file of 10,000. Whoever trains on Fashion-MNIST leaves `validation` out."""
    return {split: indices.copy() for split, indices in _indices().items()}


def split_fashion_mnist(
    images: NDArray[np.uint8], labels: Indices, test_images: NDArray[np.uint8], test_labels: Indices
) -> Dataset:
    """Fashion-MNIST as 54,000 / 6,000 / 10,000. Validation holds fashion-mini's validation images and none of its
    training images, so neither set's training images are ever among the other's validation or test images."""
    mini = fashion_mini_indices()
    free = np.setdiff1d(np.arange(len(labels)), np.concatenate([mini["train"], mini["validation"]]))
    drawn, _ = draw(labels[free], len(labels) // 10 - len(mini["validation"]), SEED)
    held_out = np.sort(np.concatenate([free[drawn], mini["validation"]]))
    whole = _split(images, labels)
    train = whole.subset(np.setdiff1d(np.arange(len(labels)), held_out))
    test = _split(test_images, test_labels)
    return _fashion("fashion-mnist", "Fashion-MNIST", train, whole.subset(held_out), test)


def _split(images: NDArray[np.uint8], labels: Indices) -> Split:
    return Split(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels.astype(np.int64)))


def _fashion(name: str, title: str, train: Split, validation: Split, test: Split) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        classes=FASHION_CLASSES,
        train=train,
        validation=validation,
        test=test,
        licence=FASHION_LICENCE,
        source=FASHION_SOURCE,
        size=28,
        channels=1,
        content_hash=hash_splits(FASHION_CLASSES, train, validation, test),
    )
