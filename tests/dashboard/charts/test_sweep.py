"""A figure over a knob's values: means with their range, own results apart, the prediction where it was made."""

from __future__ import annotations

import pytest

from dashboard.charts import sweep

VALUES = ("0.25", "0.5", "0.9")
LABELS = sweep.Labels("ratio", "accuracy", "yours", "your prediction", share=True)
ROWS = [
    ("cut", "prune", "0.25", 0.8, 0.7, 0.85, False),
    ("cut", "prune", "0.9", 0.2, 0.1, 0.3, False),
    ("<b>", "prune", "0.5", 0.4, 0.4, 0.4, False),
    ("cut", "prune", "0.5", 0.6, 0.6, 0.6, True),
]


def trace(figure: object, name: str) -> dict[str, object]:
    return next(t.to_plotly_json() for t in figure.data if t.name == name)  # type: ignore[attr-defined]


def test_a_line_has_its_means_at_their_values_and_whiskers_from_least_to_greatest() -> None:
    line = trace(sweep.figure(sweep.info(ROWS), VALUES, LABELS), "cut")
    assert list(line["x"]) == [0, 2]  # type: ignore[call-overload]
    assert list(line["y"]) == [0.8, 0.2]  # type: ignore[call-overload]
    spread = line["error_y"]
    assert isinstance(spread, dict)
    assert list(spread["array"]) == pytest.approx([0.05, 0.1])
    assert list(spread["arrayminus"]) == pytest.approx([0.1, 0.1])


def test_own_results_are_stars_apart_from_the_line() -> None:
    own = trace(sweep.figure(sweep.info(ROWS), VALUES, LABELS), "yours: cut")
    assert (list(own["x"]), list(own["y"])) == ([1], [0.6])  # type: ignore[call-overload]


def test_the_prediction_is_where_it_was_made_and_in_sight() -> None:
    figure = sweep.figure(sweep.info(ROWS), VALUES, LABELS, sweep.Predicted(1, 0.95))
    cross = trace(figure, "your prediction")
    assert (list(cross["x"]), list(cross["y"])) == ([1], [0.95])  # type: ignore[call-overload]
    assert figure.layout.shapes[0].y0 == 0.95
    assert figure.layout.yaxis.range[1] >= 0.95


def test_a_persons_text_is_escaped_and_every_line_is_told_by_more_than_its_colour() -> None:
    figure = sweep.figure(sweep.info(ROWS), VALUES, LABELS)
    assert trace(figure, "&lt;b&gt;")["line"] != trace(figure, "cut")["line"]
    dashes = [trace(figure, name)["line"]["dash"] for name in ("cut", "&lt;b&gt;")]  # type: ignore[index]
    assert len(set(dashes)) == 2


def test_nothing_measured_is_an_empty_chart() -> None:
    assert len(sweep.figure(sweep.info([]), VALUES, LABELS).data) == 0
