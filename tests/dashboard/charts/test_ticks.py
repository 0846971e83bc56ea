"""Numbers along a logarithmic axis: where they stand, what they say, and that they fit."""

from __future__ import annotations

import math

import pytest

from dashboard.charts.ticks import logarithmic, short, whole

UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "B": 1.0}


@pytest.mark.parametrize("span", [(9e4, 1.1e5), (3.8e4, 2.0e6), (3.8e4, 1.35e7), (12.0, 4e9)])
def test_each_number_says_where_it_stands(span: tuple[float, float]) -> None:
    axis = logarithmic(span, "B")
    for place, told in zip(axis["tickvals"], axis["ticktext"], strict=True):
        number, unit = told.split(" ")
        assert float(number) * UNITS[unit] == pytest.approx(place)
    assert axis["tickvals"] == sorted(axis["tickvals"])
    assert axis["tickvals"][0] < span[0] < span[1] < axis["tickvals"][-1], "there are numbers on both sides"


@pytest.mark.parametrize("decades", [0.0, 0.5, 1.2, 1.4, 2.1, 2.3, 4.0, 6.0])
def test_at_most_seven_numbers_are_seen_at_once_and_at_least_one(decades: float) -> None:
    for begin in (1.0, 1.9, 4.7, 9.9):
        low, high = begin / 1.1, begin * 10**decades * 1.1  # what plotly leaves beside the marks
        seen = [mark for mark in logarithmic([begin, begin * 10**decades])["tickvals"] if low <= mark <= high]
        assert len(seen) <= 7
        assert decades < 1 or seen


def test_what_has_no_place_is_left_out() -> None:
    assert "tickvals" not in logarithmic([])
    assert "tickvals" not in logarithmic([0.0, -1.0, math.inf, math.nan])
    assert logarithmic([0.0, 0.04, 0.5])["ticktext"][:2] == ["0.001", "0.002"]


@pytest.mark.parametrize(("value", "told"), [(0.05, "0.05"), (1, "1"), (999.0, "999"), (2e4, "20 k"), (3e9, "3 G")])
def test_a_number_is_short(value: float, told: str) -> None:
    assert short(value) == told


@pytest.mark.parametrize(("value", "told"), [(0.05, "0.05"), (1, "1"), (2e3, "2,000"), (1e6, "1,000,000")])
def test_a_number_whose_unit_stands_elsewhere_is_written_out(value: float, told: str) -> None:
    assert whole(value) == told
