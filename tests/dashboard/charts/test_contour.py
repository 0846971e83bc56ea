"""Two knobs and the accuracy: every mark is a trial, and colours between them only where both knobs are numbers."""

from __future__ import annotations

import pandas as pd
import pytest

from dashboard.charts import contour, style

PATHS = ("steps.1.temperature", "steps.2.ratio")
TITLES, LABELS = ("<b>T</b>", "Ratio"), ("Trial", "Accuracy")


def table(**more: object) -> pd.DataFrame:
    rows = {
        "trial": [1, 2, 3, 4, 5],
        "accuracy": [0.5, 0.9, 0.7, 0.8, None],
        "within": [True, True, False, True, True],
        PATHS[0]: [1.0, 2.0, 4.0, 8.0, 3.0],
        PATHS[1]: [0.2, 0.4, 0.6, 0.8, 0.5],
    }
    return pd.DataFrame(rows | more)


def drawn(rows: pd.DataFrame, *, dark: bool = False) -> dict[str, list]:  # type: ignore[type-arg]
    figure = contour.figure(
        rows, PATHS, TITLES, lambda path, value: f"<{value}>", LABELS, logs=(True, False), dark=dark
    )
    found: dict[str, list] = {"figure": [figure]}  # type: ignore[type-arg]
    for trace in figure.data:
        found.setdefault(trace.type, []).append(trace)
    return found


@pytest.mark.parametrize("dark", [False, True])
def test_each_measured_trial_is_a_mark_in_the_colour_of_its_accuracy(dark: bool) -> None:
    found = drawn(table(), dark=dark)
    within, outside = found["scatter"]
    assert (list(within.x), list(within.y), list(within.marker.color)) == ([1, 2, 8], [0.2, 0.4, 0.8], [0.5, 0.9, 0.8])
    assert (list(outside.x), outside.marker.symbol) == ([4], "x")
    assert (within.marker.cmin, within.marker.cmax) == (outside.marker.cmin, outside.marker.cmax) == (0.5, 0.9)
    assert [trace.marker.showscale for trace in found["scatter"]] == [False, True]
    assert within.text[1] == "Trial 2: 90.0 %"
    assert within.marker.colorscale[1][1] == style.look(dark).stages["transfer"]
    layout = found["figure"][0].layout
    assert (layout.xaxis.type, layout.yaxis.type) == ("log", None)
    assert "<b>" not in layout.xaxis.title.text


def test_between_two_numbers_the_measured_values_stand_where_they_were_measured() -> None:
    (between,) = drawn(table())["contour"]
    where = {(x, y): between.z[j][i] for i, x in enumerate(between.x) for j, y in enumerate(between.y)}
    measured = {place: value for place, value in where.items() if value == value}
    assert measured == {(1.0, 0.2): 0.5, (2.0, 0.4): 0.9, (4.0, 0.6): 0.7, (8.0, 0.8): 0.8}
    assert between.connectgaps


@pytest.mark.parametrize(
    "more",
    [
        {PATHS[0]: ["kd", "dkd", "kd", "dkd", "kd"]},
        {PATHS[1]: [True, False, True, False, True]},
        {PATHS[1]: [0.5] * 5},
        {"accuracy": [0.5, 0.9, None, None, None]},
    ],
)
def test_nothing_is_interpolated_between_choices_or_few_trials(more: dict[str, object]) -> None:
    rows = table(**more)
    assert not contour.is_interpolated(rows, PATHS)
    found = drawn(rows)
    assert "contour" not in found
    assert sum(len(trace.x) for trace in found["scatter"]) == len(contour.known(rows, PATHS))


def test_a_choice_is_told_in_words_that_are_no_markup() -> None:
    found = drawn(table(**{PATHS[0]: ["kd", "dkd", "kd", "dkd", "kd"]}))
    assert set(found["scatter"][0].x) == {"&lt;kd&gt;", "&lt;dkd&gt;"}
    assert found["figure"][0].layout.xaxis.type == "category"


def test_without_a_measured_trial_there_is_an_empty_chart() -> None:
    assert "contour" not in drawn(table(accuracy=[None] * 5))
