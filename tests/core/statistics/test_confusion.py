"""The confusion matrix and what is read off it equal scikit-learn's, on ordinary and on awkward answers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics

from core.statistics.confusion import balanced_accuracy, by_class, confusion, macro_f1, worst_class

Case = tuple[list[int], list[int], int]
RANDOM = np.random.default_rng(4)
CASES: dict[str, Case] = {
    "ten classes": (RANDOM.integers(0, 10, 400).tolist(), RANDOM.integers(0, 10, 400).tolist(), 10),
    "two classes": (RANDOM.integers(0, 2, 60).tolist(), RANDOM.integers(0, 2, 60).tolist(), 2),
    "a class never seen": ([0, 0, 2, 2, 2], [0, 2, 2, 2, 0], 4),
    "a class without images is answered": ([0, 0, 2, 2, 2], [1, 1, 2, 1, 0], 3),
    "one answer for all": ([0, 1, 2, 2], [2, 2, 2, 2], 3),
    "all right": ([0, 1, 2, 2], [0, 1, 2, 2], 3),
    "all wrong": ([0, 1, 2], [1, 2, 0], 3),
    "one image": ([1], [0], 2),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_the_matrix_is_scikit_learns(case: Case) -> None:
    labels, answers, classes = case
    theirs = metrics.confusion_matrix(labels, answers, labels=list(range(classes)))
    assert confusion(labels, answers, classes) == tuple(map(tuple, theirs.tolist()))


def test_the_figures_are_scikit_learns(case: Case) -> None:
    labels, answers, classes = case
    matrix = confusion(labels, answers, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are answered and have no images
        assert balanced_accuracy(matrix) == pytest.approx(metrics.balanced_accuracy_score(labels, answers), abs=1e-12)
    assert macro_f1(matrix) == pytest.approx(metrics.f1_score(labels, answers, average="macro"), abs=1e-12)
    recalls = metrics.recall_score(labels, answers, labels=sorted(set(labels)), average=None)
    assert [one.share for one in by_class(matrix)] == pytest.approx(recalls.tolist())
    worst = worst_class(matrix)
    assert worst.share == min(recalls)
    assert worst.label == sorted(set(labels))[int(np.argmin(recalls))]


def test_intervals_are_wilsons(case: Case) -> None:
    for one in by_class(confusion(*case)):
        theirs = binomtest(one.right, one.images).proportion_ci(method="wilson")
        assert one.interval == pytest.approx((theirs.low, theirs.high))


def test_answers_of_other_images_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        confusion([0, 1], [0], 2)
