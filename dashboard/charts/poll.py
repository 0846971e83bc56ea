"""What a class predicted: a bar for each choice, or a dot for each learner over the numbers of the question; beside
them what was measured, once it may be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.text.escaping import UserText
from dashboard.charts import style

BINS = 40  # over the range of a question: dots nearer to each other than that are stacked
ROW, ENDS, HEIGHT = 76, 110, 360  # pixels: of a choice, of the axis below all, of the dots
COLUMNS = ["prediction", "learner", "middle", "level"]


@dataclass(frozen=True)
class Labels:
    """The words of this chart: `count` names the axis that counts, `number` that of the numbers, with their unit;
    `measured` stands beside what was measured."""

    count: str
    number: str
    measured: str


def letter(place: int) -> str:
    """What a choice is called in the chart and in the list of choices: A for the first."""
    return ascii_uppercase[place] if place < len(ascii_uppercase) else str(place + 1)


def counted(choices: Sequence[str], chosen: Sequence[int]) -> pd.DataFrame:
    """How often each choice was made: a row for each, with its letter."""
    rows = [(letter(place), text, sum(one == place for one in chosen)) for place, text in enumerate(choices)]
    return pd.DataFrame(rows, columns=["letter", "choice", "count"])


def stacked(numbers: Sequence[tuple[float, str]], low: float, high: float) -> pd.DataFrame:
    """A row for each (prediction, learner) in the order of the numbers: the nearest of BINS equal steps from `low` to
    `high`, and its level in the stack, from 1."""
    width = (high - low) / BINS
    heights: dict[int, int] = {}
    rows = []
    for number, learner in sorted(numbers):
        place = min(BINS, max(0, round((number - low) / width)))
        heights[place] = heights.get(place, 0) + 1
        rows.append((number, learner, low + place * width, heights[place]))
    return pd.DataFrame(rows, columns=COLUMNS)


def bars(table: pd.DataFrame, labels: Labels, right: int | None = None, *, dark: bool = False) -> go.Figure:
    """A bar for each choice, the first at the top; beside the `right` one stands that it is."""
    theme, places = style.look(dark), list(range(len(table)))
    counts = [int(count) for count in table["count"]]
    names = [f"✓ {name}" if place == right else str(name) for place, name in enumerate(table["letter"])]
    told = [f" {count} · {labels.measured}" if place == right else f" {count}" for place, count in enumerate(counts)]
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": counts,
        "y": places,
        "text": told,
        "textposition": "outside",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "textfont": {"color": theme.ink},
        "marker": {"color": [theme.stages["prune" if place == right else "transfer"] for place in places]},
    }
    most = max([*counts, 1])
    layout = style.layout(
        dark,
        height=ENDS + ROW * len(counts),
        showlegend=False,
        bargap=0.35,
        xaxis=style.axis(dark, labels.count, range=[0, most * 1.6], dtick=_step(most)),
        yaxis=style.axis(dark, "", range=[len(counts) - 0.5, -0.5], tickvals=places, ticktext=names, showgrid=False),
    )
    return go.Figure([bar], layout)


def dots(
    table: pd.DataFrame,
    labels: Labels,
    low: float,
    high: float,
    measured: float | None = None,
    *,
    dark: bool = False,
) -> go.Figure:
    """A dot for each learner from `low` to `high`, stacked where predictions are alike; the measured number as a line
    across, also where it is outside of that range."""
    theme = style.look(dark)
    told = [
        [f"{number:g}", UserText(learner).plot()]
        for number, learner in zip(table["prediction"], table["learner"], strict=True)
    ]
    marks = {
        "type": "scatter",
        "mode": "markers",
        "x": table["middle"].tolist(),
        "y": table["level"].tolist(),
        "customdata": told,
        "hovertemplate": "%{customdata[0]} %{customdata[1]}<extra></extra>",
        "cliponaxis": False,
        "marker": {
            "symbol": "circle",
            "size": 15,
            "color": theme.stages["transfer"],
            "line": {"color": theme.paper, "width": 1},
        },
    }
    ends = (low, high) if measured is None else (min(low, measured), max(high, measured))
    pad, top = (ends[1] - ends[0]) / BINS, max([*table["level"].tolist(), 4])
    layout = style.layout(
        dark,
        height=HEIGHT,
        hovermode="closest",
        showlegend=False,
        xaxis=style.axis(dark, labels.number, range=[ends[0] - pad, ends[1] + pad]),
        yaxis=style.axis(dark, labels.count, range=[0, top + 1], dtick=_step(top)),
        **({} if measured is None else _across(measured, sum(ends) / 2, labels, theme)),
    )
    return go.Figure([marks], layout)


def _across(measured: float, middle: float, labels: Labels, theme: style.Look) -> dict[str, Any]:
    """The line of what was measured, with its words on the side where there is more room."""
    line = {"color": theme.stages["quantize"], "width": 3, "dash": "dash"}
    shape = {"type": "line", "x0": measured, "x1": measured, "yref": "paper", "y0": 0, "y1": 1, "line": line}
    note = {
        "x": measured,
        "yref": "paper",
        "y": 1,
        "text": f" {UserText(labels.measured).plot()} ",
        "showarrow": False,
        "xanchor": "left" if measured < middle else "right",
        "yanchor": "top",
        "font": {"color": theme.ink},
    }
    return {"shapes": [shape], "annotations": [note]}


def _step(most: int) -> int:
    """Between two ticks of an axis that counts: whole numbers, about five of them."""
    return max(1, round(most / 5))
