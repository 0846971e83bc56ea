"""The verdict about two accuracies: by seeds, else by the same images, else by intervals; against SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scipy.stats import binomtest, t, ttest_ind_from_stats

from core.comparison.difference import Accuracy, Difference, Paired, difference, judged, on_target
from core.points import Point


def a_point(share: float, **more: Any) -> Point:
    return Point(step=0, stage="transfer", method="probe", name="a", accuracy=share, **more)


def none() -> None:
    return None


def never() -> Paired | None:
    raise AssertionError("the answers need not be read")


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (7, 3), (30, 12), (200, 260), (0, 40), (700, 801)])
def test_chance_is_scipys(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert Paired(gained, lost).chance == pytest.approx(expected, rel=1e-9)
    assert Paired(gained, lost).is_proven == (expected < 0.05)


@pytest.mark.parametrize("apart", [0.001, 0.02, 0.05, 0.3])
@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_means_over_as_many_seeds_are_judged_by_their_spread(apart: float, seeds: int) -> None:
    one, other = (Accuracy(0.1, 0.0, 1.0, mean, 0.02, seeds) for mean in (0.5 + apart, 0.5))
    found = judged(one, other, never)
    assert found is not None
    assert (found.basis, found.seeds) == ("seeds", seeds)
    assert found.share == pytest.approx(apart)
    # the degrees of freedom of the smaller sample, so that SciPy's p-value of both together is never larger
    pooled = ttest_ind_from_stats(0.5 + apart, 0.02, seeds, 0.5, 0.02, seeds).pvalue
    assert not (found.proven and pooled >= 0.05)
    ends = t.ppf(0.975, seeds - 1) * 0.02 * (2 / seeds) ** 0.5
    assert found.proven == (apart > ends)


def test_without_seeds_the_same_images_decide_whatever_the_intervals_say() -> None:
    wide, low = Accuracy(0.80, 0.70, 0.90), Accuracy(0.79, 0.69, 0.89)
    few, many = judged(wide, low, lambda: Paired(6, 5)), judged(wide, low, lambda: Paired(30, 5))
    assert few is not None
    assert many is not None
    assert (few.proven, few.basis, many.proven, many.basis) == (False, "images", True, "images")
    assert few.share == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("low", "high", "proven"), [(0.6, 0.78, False), (0.6, 0.7799, True), (0.79, 0.81, False), (0.8301, 0.9, True)]
)
def test_without_answers_the_intervals_decide(low: float, high: float, proven: bool) -> None:
    found = judged(Accuracy(0.8, 0.78, 0.83), Accuracy((low + high) / 2, low, high), none)
    assert found is not None
    assert (found.proven, found.basis) == (proven, "intervals")


@pytest.mark.parametrize("missing", ["low", "high"])
def test_what_cannot_be_judged_says_so(missing: str) -> None:
    whole = Accuracy(0.8, 0.7, 0.9)
    for pair in ((whole, whole._replace(**{missing: None})), (whole._replace(**{missing: None}), whole)):
        found = judged(*pair, none)
        assert found == Difference(0.0)
        assert found is not None
        assert (found.proven, found.verdict) == (None, "unjudged")
    assert judged(whole, Accuracy(None), none) is None


def test_a_mean_over_seeds_is_not_held_against_a_single_model() -> None:
    """± one deviation is no 95 % interval, and the means hold other seeds."""
    mean = a_point(0.80, accuracy_low=0.77, accuracy_high=0.83).with_replicas([a_point(0.60)])
    single = a_point(0.81, accuracy_low=0.78, accuracy_high=0.84)
    found = difference(single, mean)
    assert found is not None
    assert (found.proven, found.basis, found.first_seed) == (False, "intervals", True)
    assert found.share == pytest.approx(0.01), "of the first seed's models"


def test_seeds_that_all_gave_the_same_are_judged_by_the_images() -> None:
    """Without any spread over the seeds the deviations' ends are no intervals that could be apart."""
    one, other = (a_point(share, accuracy_low=share - 0.1, accuracy_high=share + 0.1) for share in (0.80, 0.81))
    found = difference(one.with_replicas([one, one]), other.with_replicas([other, other]))
    assert found is not None
    assert (found.proven, found.basis) == (False, "intervals")
    counted = difference(one.with_replicas([one]), other.with_replicas([other]), lambda a, b: Paired(0, 20))
    assert counted is not None
    assert (counted.proven, counted.basis) == (True, "images")


def test_a_difference_within_rounding_is_none() -> None:
    one = Point(step=0, stage="transfer", method="x", name="a", accuracy=0.80001)
    found = difference(one, one.model_copy(update={"accuracy": 0.80002}))
    assert found is not None
    assert found.points == 0.0
    assert str(found.points) == "0.0"


@pytest.mark.parametrize("judge", [difference, on_target])
def test_the_target_is_judged_by_its_own_figures(judge: Callable[[Point, Point], Difference | None]) -> None:
    prefix = "target_accuracy" if judge is on_target else "accuracy"
    others = "accuracy" if judge is on_target else "target_accuracy"
    one, other = (
        Point(
            step=0,
            stage="transfer",
            method="x",
            name="a",
            **{prefix: share, f"{prefix}_low": share - 0.01, f"{prefix}_high": share + 0.01, others: 0.5},
        )
        for share in (0.8, 0.7)
    )
    found = judge(one, other)
    assert found is not None
    assert (found.proven, found.basis) == (True, "intervals")
    assert found.share == pytest.approx(0.1)
