"""One measured figure over the values of a knob: means of several seeds with their range, a person's own results, and
what was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.text.escaping import UserText
from dashboard.charts import style

COLUMNS = ["line", "stage", "value", "figure", "low", "high", "own"]
HEIGHT = 380
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `own` is said of a person's own results. `share`: the figure is a share of 1."""

    x: str
    y: str
    own: str
    predicted: str
    share: bool


@dataclass(frozen=True)
class Predicted:
    """A prediction: the place of its value among the knob's, and its figure in the chart's unit."""

    place: int
    figure: float


def info(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """A row a line, value and origin: the figure, the least and the greatest of its seeds, and whether it is one's own.
    `value` is the text of the knob's value, `stage` that of the line's point."""
    return pd.DataFrame(rows, columns=COLUMNS)


def figure(
    table: pd.DataFrame,
    values: Sequence[str],
    labels: Labels,
    predicted: Predicted | None = None,
    *,
    dark: bool = False,
) -> go.Figure:
    """A line through the prepared results of each kind with whiskers from least to greatest; own results as large open
    marks; the prediction as a cross with its name on a dashed line. The values are evenly spaced."""
    drawn: list[dict[str, Any]] = []
    for number, name in enumerate(dict.fromkeys(table["line"])):
        rows = table[table["line"] == name]
        drawn += _line(rows[~rows["own"].astype(bool)], str(name), number, values, labels, dark)
        drawn += _own(rows[rows["own"].astype(bool)], str(name), number, values, labels, dark)
    shapes: list[dict[str, Any]] = []
    if predicted is not None:
        drawn.append(_prediction(predicted, labels, dark))
        shapes.append(_across(predicted, dark))
    known = [*table["high"].dropna(), *([predicted.figure] if predicted else [])]
    top = min(1.04, max(known, default=1.0) * 1.12) if labels.share else max(known, default=1.0) * 1.12
    ticks = {"tickvals": list(range(len(values))), "ticktext": [UserText(value).plot() for value in values]}
    layout = style.layout(
        dark,
        height=HEIGHT,
        hovermode="closest",
        shapes=shapes,
        showlegend=True,
        xaxis=style.axis(dark, labels.x, range=[-0.4, len(values) - 0.6], **ticks),
        yaxis=style.axis(dark, labels.y, range=[0, top], **({"tickformat": ".0%"} if labels.share else {})),
    )
    return go.Figure(drawn, layout)


def _line(
    rows: pd.DataFrame, name: str, number: int, values: Sequence[str], labels: Labels, dark: bool
) -> list[dict[str, Any]]:
    if rows.empty:
        return []
    stage, color = _look(rows, number, dark)
    spread = {
        "type": "data",
        "symmetric": False,
        "color": color,
        "thickness": 1,
        "width": 4,
        "array": (rows["high"] - rows["figure"]).tolist(),
        "arrayminus": (rows["figure"] - rows["low"]).tolist(),
    }
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": UserText(name).plot(),
            "uid": f"line/{name}",
            "x": [values.index(value) for value in rows["value"]],
            "y": rows["figure"].tolist(),
            "error_y": spread,
            "line": {"color": color, "width": 2, "dash": DASHES[number % len(DASHES)]},
            "marker": {"symbol": style.symbol(stage, control=number > 0), "size": 9, "color": color},
            "hovertemplate": _hover(labels),
        }
    ]


def _own(
    rows: pd.DataFrame, name: str, number: int, values: Sequence[str], labels: Labels, dark: bool
) -> list[dict[str, Any]]:
    if rows.empty:
        return []
    _, color = _look(rows, number, dark)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"{labels.own}: {UserText(name).plot()}",
            "uid": f"own/{name}",
            "x": [values.index(value) for value in rows["value"]],
            "y": rows["figure"].tolist(),
            "marker": {
                "symbol": "star" if number == 0 else "star-open",
                "size": 15,
                "color": color,
                "line": {"color": style.look(dark).ink, "width": 1},
            },
            "hovertemplate": _hover(labels),
        }
    ]


def _look(rows: pd.DataFrame, number: int, dark: bool) -> tuple[str, str]:
    """Stage and colour of a line: the stage's own for the first, then those of the others in turn."""
    stage = str(rows["stage"].iloc[0])
    colors = style.look(dark).stages
    order = [stage, *(other for other in colors if other != stage)]
    return stage, colors.get(order[number % len(order)], style.look(dark).quiet)


def _prediction(predicted: Predicted, labels: Labels, dark: bool) -> dict[str, Any]:
    ink = style.look(dark).ink
    return {
        "type": "scatter",
        "mode": "markers",
        "name": labels.predicted,
        "uid": "predicted",
        "x": [predicted.place],
        "y": [predicted.figure],
        "marker": {"symbol": "x-thin", "size": 14, "line": {"color": ink, "width": 3}, "color": ink},
        "hovertemplate": _hover(labels),
    }


def _across(predicted: Predicted, dark: bool) -> dict[str, Any]:
    line = {"color": style.look(dark).ink, "width": 1, "dash": "dash"}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "yref": "y",
        "y0": predicted.figure,
        "y1": predicted.figure,
        "line": line,
        "layer": "below",
    }


def _hover(labels: Labels) -> str:
    return "%{y:.1%}" if labels.share else "%{y:.3~s}"
