"""Likely wrong labels: those planted among real digits are found, by networks of other makers, and few others are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from core.engine.measure.label_errors import confident, likely_wrong, suspected

MODELS = {"neighbours": KNeighborsClassifier(10), "trees": ExtraTreesClassifier(40, random_state=0)}


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("seed", range(3))
def test_planted_wrong_labels_are_found(model: Any, seed: int) -> None:
    """5 % of the labels are moved to another class; at least 80 % of them are found, at 60 % precision or more."""
    images, truth = load_digits(return_X_y=True)
    random = np.random.default_rng(seed)
    planted = random.choice(len(truth), len(truth) // 20, replace=False)
    labels = truth.copy()
    labels[planted] = (labels[planted] + random.integers(1, 10, len(planted))) % 10
    shares = cross_val_predict(model, images / 16, labels, cv=5, method="predict_proba")
    found = likely_wrong(shares, labels)
    hit = np.isin(found.places, planted)
    assert hit.sum() >= 0.8 * len(planted)
    assert hit.mean() >= 0.6
    assert (found.believed == truth[found.places])[hit].mean() >= 0.95, "and what they really are is named"


SHARES = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.05, 0.95], [0.45, 0.55]])
LABELS = np.array([0, 0, 0, 1, 1, 1])


def test_by_hand() -> None:
    """Means of their own labels: 0.6 and 0.733; of the sixth image no class is believed, the fourth's not reached."""
    assert confident(SHARES, LABELS).tolist() == [0, 0, 1, -1, 1, -1]
    assert suspected(SHARES, LABELS) == [1, 0]
    found = likely_wrong(SHARES, LABELS)
    assert (found.places.tolist(), found.believed.tolist()) == ([2], [1])


def test_without_a_doubt_there_is_no_suspect() -> None:
    found = likely_wrong(np.eye(3)[[0, 1, 2]], np.arange(3))
    assert len(found.places) == len(found.believed) == 0


def test_a_class_without_images_is_never_believed() -> None:
    shares = np.array([[0.1, 0.2, 0.7], [0.2, 0.1, 0.7]])
    assert 2 not in confident(shares, np.array([0, 1]))
