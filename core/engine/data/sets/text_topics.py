"""A bundled table of sentences, drawn as images; see assets/make_text_sample.py."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import torch

from core.assets import ASSETS, shipped
from core.engine.data.dataset import SEED, SPLITS, Dataset, Indices, Split, draw
from core.engine.data.known import Bundled
from core.engine.data.lettering import draw as draw_text
from core.engine.data.photos import Progress
from core.options import Words

TEXT_SAMPLE = ASSETS / "text-sample"
SIZES = {"test": 240, "validation": 180}


class TextTopics(Bundled):
    """1,200 artificial sentences about four topics, each drawn in a square of the requested size."""

    title = Words("Sentences about four topics, drawn as images", "四个主题的句子，画成图片")
    classes = 4
    images = 1200
    size = None
    channels = 1
    licence = "CC0 1.0 (written for this project)"
    source = "assets/make_text_sample.py"

    def splits(self, image_size: int) -> tuple[Split, Split, Split]:
        """780, 180 and 240 sentences, stratified."""
        texts, _, places, labels = text_sample()
        pages = torch.from_numpy(np.stack([draw_text(text, image_size) for text in texts])).unsqueeze(1)
        whole = Split(pages, torch.from_numpy(labels))
        train, validation, test = (whole.subset(places[split]) for split in SPLITS)
        return train, validation, test

    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """The dataset, drawn once per process and size."""
        return _drawn(self, image_size)


@cache
def _drawn(known: TextTopics, image_size: int) -> Dataset:
    _, topics, _, _ = text_sample()
    bag = json.loads(shipped(TEXT_SAMPLE / "bag-of-words.json").read_bytes())
    notes = ("the sentences are artificial: filled templates", str(bag["told"]))
    return known.whole(topics, known.splits(image_size), image_size, notes)


def text_sample() -> tuple[list[str], tuple[str, ...], dict[str, Indices], Indices]:
    """(sentences, topics, where the sentences of each split are, labels [N]) of the bundled table."""
    with shipped(TEXT_SAMPLE / "sentences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    topics = tuple(sorted({row["label"] for row in rows}))
    labels = np.array([topics.index(row["label"]) for row in rows], np.int64)
    places = {}
    left = np.arange(len(rows))
    for split, count in SIZES.items():
        chosen, others = draw(labels[left], count, SEED)
        places[split], left = left[chosen], left[others]
    return [row["text"] for row in rows], topics, {**places, "train": left}, labels
