"""Flipped sets by brute force over every pair of answers; McNemar's test against SciPy; the order of mistakes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from core.comparison.flips import flips, surest_mistakes


def test_every_way_that_two_answers_can_differ() -> None:
    """All 27 triples of label, answer before and answer after, told apart by hand."""
    triples = list(product(range(3), repeat=3))
    found = flips(*zip(*triples, strict=True))
    for place, (label, before, after) in enumerate(triples):
        was, now = before == label, after == label
        told = {
            "gained": now and not was,
            "lost": was and not now,
            "swapped": not was and not now and before != after,
            "kept_wrong": not was and not now and before == after,
        }
        assert {name: place in getattr(found, name) for name in told} == told, triples[place]
    assert found.changed == sum(before != after for _, before, after in triples)


@pytest.mark.parametrize("seed", range(4))
def test_chance_is_that_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, before, after = (random.integers(0, 3, 80) for _ in range(3))
    found = flips(labels.tolist(), before.tolist(), after.tolist())
    old, new = before == labels, after == labels
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    assert found.paired == (gained, lost)
    assert found.paired.chance == pytest.approx(binomtest(gained, gained + lost).pvalue)


def test_the_same_answers_are_no_change() -> None:
    found = flips([0, 1], [0, 0], [0, 0])
    assert (found.changed, found.kept_wrong, found.paired.chance) == (0, (1,), 1.0)


def test_mistakes_come_by_confidence() -> None:
    assert surest_mistakes([0, 0, 0, 1], [1, 0, 1, 0], [0.5, 0.99, 0.9, 0.9]) == (2, 3, 0)
