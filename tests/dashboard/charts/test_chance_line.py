"""The dashed line of chance: at its share, in words at its end, and never a reason to squeeze the points."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.run_files.samples import samples
from dashboard.charts import chance, classes, curves, front, parallel, points, run_points
from dashboard.charts.chance import Level
from dashboard.charts.front import Axes, Shown
from tests.dashboard.charts.test_front import LABELS

TEN = Level(0.1, "chance 10.0 %", "guessing among 10 classes")
SHARES = st.lists(st.one_of(st.just(math.nan), st.floats(0, 1, allow_subnormal=False)), max_size=8)


@pytest.mark.thorough
@given(SHARES, st.lists(st.floats(0, 1, allow_subnormal=False), max_size=2))
def test_the_span_holds_the_values_and_stays_within_0_and_100_percent(values: list[float], at: list[float]) -> None:
    low, high = chance.span(values, [Level(share, "", "") for share in at])
    assert 0 <= low < high <= 1
    assert all(low <= value <= high for value in values if not math.isnan(value))


def test_a_level_nearby_is_inside_and_one_far_away_is_told_at_the_edge() -> None:
    near, far = chance.span([0.2, 0.6], [TEN]), chance.span([0.85, 0.88], [TEN])
    assert near[0] < 0.1 < near[1]
    assert far[0] > 0.7
    (inside,), (outside,) = (chance.notes([TEN], shown, False) for shown in (near, far))
    assert (inside["text"], inside["yref"], inside["y"]) == ("chance 10.0 %", "y", 0.1)
    assert (outside["text"], outside["yref"], outside["y"]) == ("↓ chance 10.0 %", "paper", 0.0)
    assert inside["hovertext"] == outside["hovertext"] == TEN.hint


def test_notes_at_the_same_edge_stand_one_above_the_other() -> None:
    levels = [Level(share, f"level {share}", "") for share in (0.1, 0.99, 0.5, 0.95, 0.85)]
    low, high, other_low, other_high, inside = chance.notes(levels, (0.8, 0.9), False)
    assert (low["y"], other_low["y"], high["y"], other_high["y"]) == (0.0, 0.0, 1, 1)
    assert other_low["yshift"] - low["yshift"] >= 1.3 * low["font"]["size"], "pixels upwards"
    assert high["yshift"] - other_high["yshift"] >= 1.3 * high["font"]["size"], "and downwards"
    assert "yshift" not in inside


def dashed(figure: go.Figure) -> list[float]:
    return [shape.y0 for shape in figure.layout.shapes if shape.type == "line" and shape.line.dash == "dash"]


def test_every_chart_of_accuracies_has_the_line() -> None:
    words = curves.Labels("epoch", "accuracy", "loss", {})
    rows = pd.DataFrame([(0, "transfer", "0", 0.0, 1.0, 0.2, 0.3)], columns=curves.COLUMNS)
    assert dashed(curves.figure(rows, words, levels=[TEN])) == [0.1]
    empty: Any = pd.DataFrame(columns=run_points.COLUMNS)
    assert dashed(run_points.figure(empty, run_points.Labels("", "", {}, "", ""), levels=[TEN])) == [0.1]
    table = front.info(points.info(samples(), sample=True), Axes())
    assert dashed(front.figure(table, Axes(), LABELS, Shown(chance=(TEN,)))) == [0.1]
    assert dashed(curves.figure(rows, words)) == []


@pytest.mark.parametrize("y", front.QUALITIES)
def test_what_is_at_chance_is_never_on_the_front(y: str) -> None:
    """Though it is by far the smallest file, and the most accurate on validation."""
    table = points.info(samples(), sample=True)
    table = table.assign(on_target=0.5, target_low=0.4, target_high=0.6, **dict.fromkeys(points.SPREAD, 0.5))
    tempting = table.index[~table["control"]][0]
    table.loc[tempting, ["bytes", "validation"]] = [1.0, 0.999]
    assert front.info(table, Axes(y=y)).loc[tempting, "front"]
    table.loc[tempting, "at_chance"] = True
    found = front.info(table, Axes(y=y))
    assert not found.loc[tempting, "front"]
    assert found["front"].any()
    told = front.figure(found, Axes(y=y), LABELS, Shown()).data
    texts = [row[1] for trace in told if trace.customdata is not None for row in trace.customdata]
    assert len(texts) == len(table)


def test_axes_of_shares_elsewhere_end_at_100_percent_too() -> None:
    one = pd.DataFrame([("a", "prune", False, "cat", 5, 5, 1.0)], columns=classes.COLUMNS)
    low, high = classes.figure(one, classes.Labels("right", "{point}{name}{right}{images}{share}")).layout.xaxis.range
    assert 0 <= low < high == 1
    table = parallel.info(points.info(samples(), sample=True)).head(1).assign(validation=1.0, accuracy=1.0)
    names = {name: name for name in ("stage", *parallel.SHARES, *parallel.COSTS)}
    words = parallel.Labels(names, {stage: stage for stage in parallel.STAGES})
    (drawn,) = parallel.figure(table, words).data
    for axis in drawn.dimensions:
        if axis.label in parallel.SHARES:
            assert 0 <= axis.range[0] < axis.range[1] == 100
