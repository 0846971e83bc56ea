"""Backbones by what they reached and what they weigh: published accuracy against megabytes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from core.text.escaping import UserText
from dashboard.charts import style, ticks

PLACES = {"here": "circle", "download": "circle-open", "own": "star"}  # where the weights are, and the mark for it
COLORS = {"here": "transfer", "download": "transfer", "own": "distill"}
HEIGHT = 380


def info(table: pd.DataFrame) -> pd.DataFrame:
    """Those of `table` with a published accuracy, the lightest first."""
    known = table.dropna(subset=["accuracy", "megabytes"])
    return known.sort_values("megabytes", kind="stable").reset_index(drop=True)


def figure(points: pd.DataFrame, x: str, y: str, names: Mapping[str, str], *, dark: bool = False) -> go.Figure:
    """A mark a backbone; `x` and `y` are the axes' titles, `names` those of the places."""
    theme = style.look(dark)
    drawn = go.Figure()
    for place, mark in PLACES.items():
        some = points[points["place"] == place]
        drawn.add_scatter(
            x=some["megabytes"].tolist(),
            y=some["accuracy"].tolist(),
            mode="markers",
            name=names[place],
            uid=place,
            marker={"symbol": mark, "size": 9, "color": theme.stages[COLORS[place]]},
            showlegend=bool(len(some)),
            text=[UserText(name).plot() for name in some["name"]],
            hovertemplate="%{text}<br>%{y:.1f} %<br>%{x:.3g} MB<extra></extra>",
        )
    drawn.update_layout(
        style.layout(
            dark,
            height=HEIGHT,
            showlegend=True,
            xaxis=style.axis(dark, x, **ticks.logarithmic(points["megabytes"], told=ticks.whole)),
            yaxis=style.axis(dark, y),
        )
    )
    return drawn
