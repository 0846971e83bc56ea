"""A file that grew is not called smaller, on cards and receipts."""

from __future__ import annotations

import pytest

from core.points import Point
from dashboard.components import gains
from dashboard.receipt import comparisons


def point(size: int) -> Point:
    return Point(step=0, stage="transfer", method="x", name="x", bytes=size)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (1000, 250, "4× smaller"),
        (1000, 2000, "2× as large"),
        (1000, 1000, "1× as large"),
        (1000, 980, "0.98× as large"),
    ],
)
def test_sizes_are_compared_the_right_way_round(before: int, after: int, told: str) -> None:
    assert gains(point(after), point(before)) == [told]
    sizes = {"before": before, "after": after, "times_smaller": before / after}
    ((_, line),) = comparisons({"bytes_first": sizes})
    assert line.endswith(told)
