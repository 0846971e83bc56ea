"""The weights of a layer before and after, with the numbers that few bits leave them drawn below."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.questions.layers import Layer, Weights
from dashboard.charts import style

HEIGHT = 300
MOST_LINES = 32  # levels drawn as lines through the chart; more would hide it


@dataclass(frozen=True)
class Labels:
    """The words of this chart."""

    x: str
    y: str
    before: str
    after: str
    grid: str


def info(layer: Layer) -> pd.DataFrame:
    """A row a bin: its ends, and the share of the weights in it, of both files where there are two."""
    edges = layer.weights.edges
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "after": shares(layer.weights)})
    if layer.weights_before is not None:
        table["before"] = shares(layer.weights_before)
    return table


def shares(weights: Weights) -> list[float]:
    """Of all weights, those in each bin."""
    total = max(sum(weights.counts), 1)
    return [count / total for count in weights.counts]


def figure(table: pd.DataFrame, layer: Layer, labels: Labels, *, dark: bool = False) -> go.Figure:
    """Bars for what is there now, a line for what was before, a tick for each number that a weight can be."""
    theme = style.look(dark)
    middles = ((table["low"] + table["high"]) / 2).tolist()
    hover = "%{x:.3g}: %{y:.2f} %<extra></extra>"
    drawn = go.Figure()
    drawn.add_bar(
        x=middles,
        y=(100 * table["after"]).tolist(),
        name=labels.after,
        uid="after",
        hovertemplate=hover,
        marker={"color": theme.stages["transfer"], "opacity": 0.75},
    )
    if "before" in table:
        drawn.add_scatter(
            x=middles,
            y=(100 * table["before"]).tolist(),
            name=labels.before,
            uid="before",
            hovertemplate=hover,
            mode="lines",
            line={"color": theme.stages["quantize"], "shape": "hvh", "width": 2},
        )
    values = list(layer.weights.values)
    if values:
        drawn.add_scatter(
            x=values,
            y=[0.0] * len(values),
            name=labels.grid,
            uid="grid",
            mode="markers",
            hoverinfo="x",
            marker={"symbol": "line-ns-open", "size": 12, "color": theme.ink},
        )
    drawn.update_layout(
        style.layout(
            dark,
            height=HEIGHT,
            bargap=0,
            showlegend=True,
            shapes=_lines(values, theme) if len(values) <= MOST_LINES else [],
            xaxis=style.axis(dark, labels.x),
            yaxis=style.axis(dark, labels.y, rangemode="tozero"),
        )
    )
    return drawn


def _lines(values: list[float], theme: style.Look) -> list[dict[str, object]]:
    """The quantization grid, behind the bars."""
    look = {"color": theme.quiet, "width": 1, "dash": "dot"}
    return [
        {"type": "line", "x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "paper", "line": look, "layer": "below"}
        for value in values
    ]
