"""A file that grew is not called smaller, on cards and receipts."""

from __future__ import annotations

import pytest

from core.points import Point
from dashboard.components import gains
from dashboard.i18n import speaking
from dashboard.receipt import changed, comparisons


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


def test_a_control_is_compared_with_its_steps_own_model() -> None:
    sizes = {"before": 1000, "after": 1000, "times_smaller": 1.0}
    told = {
        "bytes_before": sizes,
        "latency_before": {"ms": 1.0, "ms_now": 1.0, "withheld": "the machine was busy"},
        "same_answer_as_before": 0.9,
    }
    with speaking("en"):
        own, twin = (
            [name for name, _ in (*changed(told, control=control), *comparisons(told, control=control))]
            for control in (False, True)
        )
    assert all(name.endswith("the step before") for name in own)
    assert all(name.endswith("its step's own model") for name in twin)
    assert len(own) == len(twin) == 3
