"""How right answers are spread equals scikit-learn's figures; what is not measured is absent, also in old points."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn import metrics

from core.engine.measure.spread import ranks, spread
from core.points import Point

OLD = '{"step": 0, "stage": "prune", "method": "l2", "name": "x", "accuracy": 0.5, "receipt": {}}'


def drawn(classes: int, n: int = 500) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(classes)
    return torch.from_numpy(random.normal(size=(n, classes))), torch.from_numpy(random.integers(0, classes, n))


@pytest.mark.parametrize("classes", [3, 10, 40])
def test_the_figures_are_scikit_learns(classes: int) -> None:
    logits, labels = drawn(classes)
    found = spread(logits, labels, [f"class {n}" for n in range(classes)])
    answers = logits.argmax(1)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, answers, average="macro"))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, answers))
    recalls = metrics.recall_score(labels, answers, average=None)
    assert found.worst_class == f"class {int(recalls.argmin())}"
    assert found.worst_recall == pytest.approx(recalls.min())
    if classes < 10:
        assert found.top5_accuracy is None, "five of a few answers say nothing"
    else:
        theirs = metrics.top_k_accuracy_score(labels, logits, k=5, labels=list(range(classes)))
        assert found.top5_accuracy == pytest.approx(theirs)


def test_of_equal_answers_the_first_counts_as_in_argmax() -> None:
    logits = torch.tensor([[2.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    assert ranks(logits, torch.tensor([1, 2])).tolist() == [1, 2]
    assert ranks(logits, torch.tensor([0, 0])).tolist() == [0, 0]


def test_a_point_of_before_opens_and_has_none() -> None:
    point = Point.model_validate_json(OLD)
    assert (point.spread, point.calibration_error, point.agreement) == (None, None, None)
    assert "spread" not in point.to_json()


def test_a_point_comes_back_as_it_was_written() -> None:
    logits, labels = drawn(3)
    known = Point.model_validate_json(OLD)
    point = known.model_copy(update={"spread": spread(logits, labels, "abc"), "receipt": {"calibration_error": 0.25}})
    again = Point.model_validate(json.loads(json.dumps(point.to_json())))
    assert again == point
    assert again.calibration_error == 0.25
    assert "top5_accuracy" not in point.to_json()["spread"]
