"""The points of a whole class: validation accuracy against size, and the smallest file above a bar.

What is chosen by accuracy is chosen on validation; the test accuracy of what was chosen is only reported.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.errors import shorten
from core.points import Point
from core.text import formatting
from core.text.escaping import UserText
from dashboard.charts import style, ticks

COLUMNS = ["learner", "run", "stage", "name", "validation", "accuracy", "low", "bytes"]
SIZE = 11  # pixels
SHORT = 14  # characters of a nickname in the chart; hovering shows all
HEIGHT = 480


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` has places for learner, name, validation, accuracy and size; `bar` for the
    bar."""

    x: str
    y: str
    hover: str
    bar: str


def info(points: Iterable[tuple[str, str, Point]]) -> pd.DataFrame:
    """One row for each (nickname, run, point) that was measured: shares of 1 and bytes; `low` is the
    lower end of the test accuracy's 95 % interval."""
    rows = [
        (learner, run, p.stage, p.name, p.validation_accuracy, p.middle, p.accuracy_low, p.bytes)
        for learner, run, p in points
        if is_drawn(p)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def is_drawn(point: Point) -> bool:
    """Whether both of its places in the chart were measured."""
    return point.validation_accuracy is not None and point.bytes is not None


def leader(table: pd.DataFrame, bar: float) -> pd.Series[Any] | None:
    """The smallest file whose validation accuracy is at least `bar`; of equally small ones the more accurate. None
    where nobody's is."""
    able = table[table["validation"] >= bar]
    if able.empty:
        return None
    return able.sort_values(["bytes", "validation"], ascending=[True, False], kind="stable").iloc[0]


def named(table: pd.DataFrame, bar: float) -> dict[Hashable, str]:
    """Beside which marks a nickname stands, and on which side, inwards: each learner's smallest file above the bar, or
    else their most accurate one."""
    sizes = {place: math.log(size) for place, size in zip(table.index, table["bytes"].tolist(), strict=True)}
    middle = (max(sizes.values(), default=0.0) + min(sizes.values(), default=0.0)) / 2
    found: dict[Hashable, str] = {}
    for _, own in table.groupby("learner", sort=False):
        first = leader(own, bar)
        place = own["validation"].idxmax() if first is None else first.name
        found[place] = "middle right" if sizes[place] <= middle else "middle left"
    return found


def figure(table: pd.DataFrame, labels: Labels, bar: float, *, dark: bool = False) -> go.Figure:
    """A mark a point, each learner's best one with their nickname; the bar is dashed, and the leader ringed."""
    theme, first = style.look(dark), leader(table, bar)
    leads = None if first is None else first.name
    beside = named(table, bar)
    marks = [_mark(row, labels, dark, beside.get(place, ""), leads=place == leads) for place, row in table.iterrows()]
    line = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": bar,
        "y1": bar,
        "line": {"color": theme.quiet, "width": 1, "dash": "dash"},
    }
    note = {
        "xref": "paper",
        "x": 0,
        "y": bar,
        "text": labels.bar.format(bar=formatting.percent(bar)),
        "showarrow": False,
        "xanchor": "left",
        "yanchor": "bottom",
        "font": {"color": theme.quiet},
    }
    layout = style.layout(
        dark,
        height=HEIGHT,
        hovermode="closest",
        shapes=[line],
        annotations=[note],
        xaxis=style.axis(dark, labels.x, **ticks.logarithmic(table["bytes"], "B")),
        yaxis=style.axis(dark, labels.y, tickformat=".3~p"),
    )
    return go.Figure(marks, layout)


def _mark(row: pd.Series[Any], labels: Labels, dark: bool, side: str, *, leads: bool) -> dict[str, Any]:
    theme, stage = style.look(dark), str(row["stage"])
    learner = UserText(row["learner"]).plot()
    hover = labels.hover.format(
        learner=learner,
        name=UserText(row["name"]).plot(),
        validation=formatting.percent(row["validation"]),
        accuracy="–" if pd.isna(row["accuracy"]) else formatting.percent(row["accuracy"]),
        size=formatting.size(row["bytes"]),
    )
    edge = {"color": theme.ink if leads else theme.paper, "width": 3 if leads else 1}
    color = theme.stages.get(stage, theme.quiet)
    short = UserText(shorten(row["learner"], SHORT)).plot()
    symbol = {"symbol": style.symbol(stage), "size": SIZE * (1.5 if leads else 1), "color": color, "line": edge}
    return {
        "type": "scatter",
        "mode": "markers+text" if side else "markers",
        "x": [row["bytes"]],
        "y": [row["validation"]],
        "text": [short],
        "textposition": side or None,
        "textfont": {"color": theme.ink if leads else theme.quiet},
        "cliponaxis": False,
        "showlegend": False,
        "marker": symbol,
        "hovertemplate": f"{hover}<extra></extra>",
    }
