"""The one verdict about two accuracies: is their difference more than chance, and by which test?

Over seeds where both are means over equally many; else McNemar's test, where the answers of both to the same images are
stored; else by whether their 95 % intervals overlap. Every place that shows or tells a difference asks here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from core.points import Point
from core.statistics.intervals import student

SURE = 0.05  # from this p-value on, chance is not excluded
SAME = 1e-9  # shares closer to each other than this differ by rounding in the computation alone

Basis = Literal["seeds", "images", "intervals", ""]


class Paired(NamedTuple):
    """Numbers of test images that only the first model classifies correctly (`gained`), or only the second (`lost`)."""

    gained: int
    lost: int

    @property
    def chance(self) -> float:
        """The exact two-sided p-value of McNemar's test: the probability of a split at least as uneven by chance."""
        count = self.gained + self.lost
        tail = ways = 1  # to draw k = 0 of `count`, and all up to k
        for k in range(min(self)):
            ways = ways * (count - k) // (k + 1)
            tail += ways
        return min(1.0, float(2 * tail / 2**count))

    @property
    def is_proven(self) -> bool:
        """Whether the difference is more than chance."""
        return self.chance < SURE


Pairing = Callable[[Point, Point], Paired | None]


class Accuracy(NamedTuple):
    """An accuracy as shares of 1: `own` is that of the recipe's own seed, with the ends of its 95 % interval; `mean`
    and the sample standard deviation `sd` are over `seeds` seeds. None: not measured."""

    own: float | None
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    sd: float | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class Difference:
    """One accuracy minus another, from −1 to 1. `proven` says whether it is more than chance, judged (`basis`) by the
    spread over `seeds`, by a test on the same images, or by whether the 95 % intervals overlap; None: not judged.
    `first_seed`: means over seeds are shown of one of the two, but the models of the recipe's own seed were compared.
    """

    share: float
    proven: bool | None = None
    basis: Basis = ""
    seeds: int = 1
    first_seed: bool = False

    @property
    def points(self) -> float:
        """In percentage points with one decimal."""
        return round(100 * self.share, 1) + 0.0

    @property
    def way(self) -> Literal["more", "fewer", "same"]:
        """Which of the two is more accurate, by the exact numbers."""
        return "same" if abs(self.share) < SAME else "more" if self.share > 0 else "fewer"

    @property
    def verdict(self) -> str:
        """`<basis>_proven`, `<basis>_open` or `unjudged`, as the phrases about it are called."""
        return f"{self.basis}_{'proven' if self.proven else 'open'}" if self.basis else "unjudged"


def difference(one: Point, other: Point, pairing: Pairing = lambda one, other: None) -> Difference | None:
    """Accuracy on the test images, `one` minus `other`; None if either was not measured."""
    return judged(on_test(one), on_test(other), lambda: pairing(one, other))


def on_target(one: Point, other: Point) -> Difference | None:
    """Accuracy on the target's test images, `one` minus `other`; None if either was not measured."""
    return judged(_there(one), _there(other), lambda: None)


def on_test(point: Point) -> Accuracy:
    """A point's accuracy on the test images."""
    of_file = (point.accuracy, point.accuracy_low, point.accuracy_high)
    return Accuracy(*of_file, point.accuracy_mean, point.accuracy_sd, point.seeds)


def _there(point: Point) -> Accuracy:
    of_file = (point.target_accuracy, point.target_accuracy_low, point.target_accuracy_high)
    seeds = None if point.target_accuracy_mean is None else point.seeds
    return Accuracy(*of_file, point.target_accuracy_mean, point.target_accuracy_sd, seeds)


def judged(one: Accuracy, other: Accuracy, count: Callable[[], Paired | None]) -> Difference | None:
    """`one` minus `other`; `count` is asked for the images that only one of the two gets right where seeds cannot
    decide. Of means over unequal numbers of seeds, or without any spread, the models of the recipe's own seed are
    compared. None if either was not measured."""
    mine, theirs = (each.own if each.mean is None else each.mean for each in (one, other))
    if mine is None or theirs is None:
        return None
    if (found := _by_seeds(mine - theirs, one, other)) is not None:
        return found
    if one.own is None or other.own is None:
        return Difference(mine - theirs)
    share, first_seed = one.own - other.own, one.seeds != other.seeds
    if (counts := count()) is not None:
        return Difference(share, counts.is_proven, "images", first_seed=first_seed)
    if None in (one.low, one.high, other.low, other.high):
        return Difference(share, first_seed=first_seed)
    return Difference(share, not _overlap(one, other), "intervals", first_seed=first_seed)


def _by_seeds(share: float, one: Accuracy, other: Accuracy) -> Difference | None:
    """By the 95 % interval of the difference of two means (Welch, degrees of freedom of the smaller sample); None
    unless both are means over equally many seeds that differ from each other."""
    if one.sd is None or other.sd is None or one.seeds != other.seeds or one.seeds is None or one.seeds < 2:
        return None
    if one.sd + other.sd < SAME:
        return None
    error = ((one.sd**2 + other.sd**2) / one.seeds) ** 0.5
    return Difference(share, abs(share) > student(one.seeds) * error, "seeds", one.seeds)


def _overlap(one: Accuracy, other: Accuracy) -> bool:
    return (one.low or 0.0) <= (other.high or 0.0) and (other.low or 0.0) <= (one.high or 0.0)
