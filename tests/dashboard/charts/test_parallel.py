"""Parallel coordinates: every figure on its axis, costs in logarithms whose ticks say the number."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from core.run_files.samples import samples
from dashboard.charts import parallel, points, style

AXES = {name: f"<{name}>" for name in ("stage", *parallel.SHARES, *parallel.COSTS)}
LABELS = parallel.Labels(AXES, {stage: stage for stage in parallel.STAGES})


@pytest.fixture
def table() -> pd.DataFrame:
    return parallel.info(points.info(samples(), sample=True))


def test_points_without_a_figure_are_left_out(table: pd.DataFrame) -> None:
    everything = points.info(samples(), sample=True)
    lacking = everything.copy()
    lacking.loc[lacking.index[:3], "p50"] = math.nan
    lacking.loc[lacking.index[3], "macs"] = 0.0
    assert len(parallel.info(lacking)) == len(table) - 4 == len(everything) - 4


def test_a_line_goes_through_every_figure_of_its_point(table: pd.DataFrame) -> None:
    (lines,) = parallel.figure(table, LABELS).data
    axes = {axis.label: axis for axis in lines.dimensions}
    assert list(axes) == list(AXES.values())
    assert list(axes["<validation>"]["values"]) == pytest.approx((100 * table["validation"]).tolist())
    for name in parallel.COSTS:
        assert [10**log for log in axes[f"<{name}>"]["values"]] == pytest.approx(table[name].tolist())
    stages = [parallel.STAGES[int(place)] for place in axes["<stage>"]["values"]]
    assert stages == table["stage"].tolist()
    scale = dict(lines.line.colorscale)
    assert [scale[n / 3] for n in range(4)] == [style.LIGHT[stage] for stage in parallel.STAGES]


def test_ticks_of_a_cost_say_the_number_that_stands_there(table: pd.DataFrame) -> None:
    narrow = table.assign(bytes=[2e4 + 1e4 * n for n in range(len(table))])
    (lines,) = parallel.figure(narrow, LABELS).data
    axis = next(axis for axis in lines.dimensions if axis.label == "<bytes>")
    factor = {"k": 1e3, "M": 1e6, "G": 1e9}
    said = [float(text.rstrip("kMG")) * factor.get(text[-1], 1.0) for text in axis.ticktext]
    assert said == pytest.approx([10**place for place in axis.tickvals])
    assert len(said) >= 2


def test_no_points_are_drawn_as_empty_axes(table: pd.DataFrame) -> None:
    (lines,) = parallel.figure(table.head(0), LABELS).data
    assert len(lines.dimensions) == len(AXES)
