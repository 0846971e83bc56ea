"""The chart of a poll: every answer is in it once, and what was measured only when it is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts.poll import BINS, Labels, bars, counted, dots, letter, stacked

LABELS = Labels("Learners", "Prediction, in %", "measured: 48.3 %")


def test_each_choice_is_counted_and_the_right_one_is_told_in_words() -> None:
    table = counted(["falls", "stays", "rises"], [0, 2, 0, 0])
    assert table["count"].tolist() == [3, 0, 1]
    assert table["letter"].tolist() == ["A", "B", "C"]
    hidden = bars(table, LABELS)
    assert "measured" not in hidden.to_json()
    assert "✓" not in hidden.to_json()
    assert list(hidden.data[0].x) == [3, 0, 1]
    shown = bars(table, LABELS, right=1)
    assert list(shown.layout.yaxis.ticktext) == ["A", "✓ B", "C"]
    assert ["measured" in text for text in shown.data[0].text] == [False, True, False]
    assert len(set(shown.data[0].marker.color)) == 2


@given(st.lists(st.floats(0, 100), max_size=60))
def test_every_number_is_one_dot_and_none_hides_another(numbers: list[float]) -> None:
    table = stacked([(number, "") for number in numbers], 0.0, 100.0)
    assert sorted(table["prediction"]) == sorted(numbers)
    assert len(set(zip(table["middle"], table["level"], strict=True))) == len(numbers)
    assert ((table["middle"] - table["prediction"]).abs() <= 100 / BINS / 2 + 1e-9).all()


@pytest.mark.parametrize(("measured", "side"), [(10.0, "left"), (90.0, "right"), (130.0, "right")])
def test_the_measured_number_is_a_line_also_outside_of_the_range(measured: float, side: str) -> None:
    table = stacked([(50.0, "Ana")], 0.0, 100.0)
    assert dots(table, LABELS, 0.0, 100.0).layout.shapes == ()
    figure = dots(table, LABELS, 0.0, 100.0, measured)
    assert figure.layout.shapes[0].x0 == measured
    low, high = figure.layout.xaxis.range
    assert low < min(0.0, measured)
    assert high > max(100.0, measured)
    assert figure.layout.annotations[0].xanchor == side


def test_a_nickname_in_the_chart_is_text() -> None:
    drawn = dots(stacked([(50.0, "<b>%{x}$a$")], 0.0, 100.0), LABELS, 0.0, 100.0).to_json()
    assert "<b>" not in drawn
    assert "%{x" not in drawn.replace("%{customdata", "")


def test_an_empty_poll_is_an_empty_chart() -> None:
    assert len(dots(stacked([], 0.0, 100.0), LABELS, 0.0, 100.0).data[0].x) == 0
    assert list(bars(counted(["a", "b"], []), LABELS).data[0].x) == [0, 0]


def test_choices_have_letters() -> None:
    assert [letter(0), letter(25), letter(26)] == ["A", "Z", "27"]
