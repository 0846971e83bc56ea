"""The points of one run as they land: accuracy against size, the area of a mark being its latency."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.comparison.speed import Conditions, conditions, unlike
from core.points import Point
from core.state import RunState
from core.summary import RunSummary
from core.text import formatting
from core.text.escaping import UserText
from dashboard.charts import chance, style, ticks
from dashboard.charts.chance import Level

COLUMNS = [
    "step",
    "stage",
    "name",
    "control",
    "accuracy",
    "low",
    "high",
    "bytes",
    "p50",
    "noisy",
    "at_chance",
    *Conditions._fields,
]
SMALLEST, LARGEST = 9.0, 34.0  # pixels, a mark's diameter
WIDE, HIGH = 0.3, 0.1  # of the axes' span: nearer marks' labels would lie on each other at 420 px


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` has places for name, accuracy, size and latency."""

    x: str
    y: str
    stages: Mapping[str, str]
    control: str
    hover: str
    chance: str = " (not proven better than chance)"  # said behind the accuracy of a point
    kind: Callable[[Conditions, tuple[str, ...]], str] = lambda found, names: " · ".join(
        str(getattr(found, name)) for name in names if getattr(found, name)
    )  # those of a latency's conditions that differ from others'


def info(state: RunState | RunSummary) -> pd.DataFrame:
    """One row a point and control whose accuracy and size were measured: shares of 1, bytes, milliseconds."""
    rows = [
        *_rows(state.points, state.environment, control=False),
        *_rows(state.controls, state.environment, control=True),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(points: Iterable[Point], of_run: Mapping[str, str], *, control: bool) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for p in points:
        if p.middle is None or p.bytes is None:
            continue
        latency = p.latency_ms
        p50, noisy = (latency.p50, latency.noisy) if latency else (None, False)
        judged = (p.middle, *p.whiskers, p.bytes, p50, noisy, p.is_at_chance)
        rows.append((p.step, p.stage, p.name, control, *judged, *conditions(p, of_run)))
    return rows


def kinds(table: pd.DataFrame) -> list[Conditions]:
    """The unlike conditions that the latencies of points were measured under, in the order of the points."""
    known = table.dropna(subset=["p50"])[[name for name in Conditions._fields if name in table]].drop_duplicates()
    return [kind(row) for row in known.to_dict("records")]


def kind(row: Mapping[Hashable, Any]) -> Conditions:
    """The conditions of a row of the points."""
    return Conditions(**{name: row[name] for name in Conditions._fields if name in row})


def diameters(milliseconds: pd.Series[float]) -> list[float]:
    """Pixels, so that areas are as latencies, the slowest being LARGEST; what was not measured is SMALLEST."""
    times = milliseconds.astype(float)
    slowest = times.max()
    if not slowest > 0:
        return [SMALLEST] * len(times)
    wide = (times / slowest).pow(0.5) * LARGEST
    return [float(d) for d in wide.fillna(SMALLEST).clip(lower=SMALLEST)]


def sides(table: pd.DataFrame) -> dict[Hashable, str]:
    """Where the label of each mark of the chain stands: inwards, and under its mark where the label of the next smaller
    file, above its own, would reach it."""
    chain = table[~table["control"].astype(bool)].sort_values("bytes")
    sizes = [math.log(size) for size in chain["bytes"]]
    wide = WIDE * (max(sizes, default=0.0) - min(sizes, default=0.0))
    high = HIGH * (table[["accuracy", "high"]].max().max() - table[["accuracy", "low"]].min().min())
    found: dict[Hashable, str] = {}
    above: tuple[float, float] | None = None
    for place, size, height in zip(chain.index, sizes, chain["accuracy"].tolist(), strict=True):
        near = above is not None and size - above[0] < wide and abs(height - above[1]) <= high
        found[place] = ("bottom" if near else "top") + (" left" if size == max(sizes) else " right")
        above = above if near else (size, height)
    return found


def figure(table: pd.DataFrame, labels: Labels, *, levels: Sequence[Level] = (), dark: bool = False) -> go.Figure:
    """The chain joined by a line in the order of its steps; controls hollow; intervals as whiskers, chance dashed."""
    chain = table[~table["control"].astype(bool)].sort_values("step") if len(table) else table
    path = {
        "type": "scatter",
        "mode": "lines",
        "x": chain["bytes"].tolist(),
        "y": chain["accuracy"].tolist(),
        "line": {"color": style.look(dark).quiet, "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
        "uid": "path",
    }
    sizes = diameters(table["p50"])
    beside, differing = sides(table), unlike(kinds(table))
    marks = [
        _mark(row, diameter, beside.get(place, ""), labels, dark, differing)
        for (place, row), diameter in zip(table.iterrows(), sizes, strict=True)
    ]
    visible = chance.span(table[["accuracy", "low", "high"]].astype(float).to_numpy().ravel(), levels)
    blank = {"range": [4, 8]} if table.empty else {}  # from 10 kB to 100 MB
    layout = style.layout(
        dark,
        height=420,
        hovermode="closest",
        shapes=chance.lines(levels, dark),
        annotations=chance.notes(levels, visible, dark),
        xaxis=style.axis(dark, labels.x, **ticks.logarithmic(table["bytes"], "B"), **blank),
        yaxis=style.axis(dark, labels.y, tickformat=".3~p", range=visible),
    )
    return go.Figure([path, *marks], layout)


def _mark(
    row: pd.Series[Any], diameter: float, side: str, labels: Labels, dark: bool, differing: tuple[str, ...]
) -> dict[str, Any]:
    theme = style.look(dark)
    stage, control = str(row["stage"]), bool(row["control"])
    color = theme.stages.get(stage, theme.quiet)
    name = UserText(row["name"]).plot()
    title = labels.control.format(name=name) if control else name
    times = formatting.two_digits(row["p50"]) + " ms" if row["p50"] == row["p50"] and row["p50"] else "–"
    where = labels.kind(kind(row.to_dict()), differing) if differing and times != "–" else ""
    times += f" ({UserText(where).plot()})" if where else ""
    spread = {
        "type": "data",
        "symmetric": False,
        "color": color,
        "thickness": 1,
        "width": 4,
        "array": [_or_zero(row["high"] - row["accuracy"])],
        "arrayminus": [_or_zero(row["accuracy"] - row["low"])],
    }
    hover = labels.hover.format(
        name=title,
        accuracy=formatting.percent(row["accuracy"]) + (labels.chance if row["at_chance"] else ""),
        size=formatting.size(row["bytes"]),
        latency=times,
    )
    edge = {"color": color if control else theme.paper, "width": 2 if control else 1}
    mark = {"symbol": style.symbol(stage, control=control), "size": diameter, "color": color}
    return {
        "type": "scatter",
        "x": [row["bytes"]],
        "y": [row["accuracy"]],
        "mode": "markers" if control else "markers+text",
        "text": [labels.stages.get(stage, stage)],
        "textposition": side or None,
        "textfont": {"color": theme.quiet},
        "cliponaxis": False,
        "showlegend": False,
        "name": title,
        "error_y": spread,
        "marker": {**mark, "opacity": 0.9, "line": edge},
        "hovertemplate": f"{hover}<extra></extra>",
        "uid": f"{row['step']}/{title}",
    }


def _or_zero(value: float) -> float:
    return float(value) if value == value else 0.0
