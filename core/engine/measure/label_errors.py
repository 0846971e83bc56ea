"""Labels that are likely wrong: confident learning on probabilities of a network that was not trained on the images.

Northcutt, Jiang & Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels, arXiv:1911.00068. A class
is believed of an image where its probability reaches the mean that images labelled so have. How often that is another
class than the label says how many images of the label are suspected (prune by class): those with the largest margin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Suspects:
    """The places [K] of images with a likely wrong label, the likeliest first, and the class [K] each is taken for."""

    places: Indices
    believed: Indices


def likely_wrong(probabilities: Array, labels: Indices) -> Suspects:
    """The suspects of out-of-sample probabilities [N, C] for labels [N], by the margin between the class each is taken
    for and its label; an image that is answered with its label is none."""
    answers = probabilities.argmax(axis=1)
    margin = probabilities.max(axis=1) - probabilities[np.arange(len(labels)), labels]
    order = np.argsort(-margin, kind="stable")
    wrong = order[answers[order] != labels[order]]
    kept = [wrong[labels[wrong] == label][:most] for label, most in enumerate(suspected(probabilities, labels))]
    places = np.concatenate(kept)
    places = places[np.argsort(-margin[places], kind="stable")]
    return Suspects(places.astype(np.int64), answers[places].astype(np.int64))


def suspected(probabilities: Array, labels: Indices) -> list[int]:
    """How many images of each label are likely of another class: the share among those of which a class is believed,
    out of all."""
    believed = confident(probabilities, labels)
    classes = probabilities.shape[1]
    sure = np.bincount(labels[believed >= 0], minlength=classes)
    other = np.bincount(labels[(believed >= 0) & (believed != labels)], minlength=classes)
    images = np.bincount(labels, minlength=classes)
    return [int(n) for n in np.ceil(other * images / np.maximum(sure, 1))]


def confident(probabilities: Array, labels: Indices) -> Indices:
    """The class [N] that is believed of each image, −1 where none is: of several the most probable."""
    classes = probabilities.shape[1]
    images = np.bincount(labels, minlength=classes)
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], classes)
    threshold = np.where(images > 0, own / np.maximum(images, 1), np.inf)
    reached = np.where(probabilities >= threshold, probabilities, -1.0)
    return np.where(reached.max(axis=1) < 0, -1, reached.argmax(axis=1)).astype(np.int64)
