"""The reliability diagram: how often answers of a confidence are right, over that confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.run_files.answers import Calibration
from core.text.escaping import UserText
from dashboard.charts import style

COLUMNS = ["point", "from", "to", "confidence", "right", "images"]
HEIGHT = 420
DASHES = ("solid", "dash", "dot")
LARGEST = 26.0  # pixels: the mark of the fullest bin


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` has plotly's places for a line's name, confidence, share and number of
    images."""

    x: str
    y: str
    perfect: str
    hover: str


def info(lines: Mapping[str, Calibration]) -> pd.DataFrame:
    """A row a line and bin that has answers."""
    rows = [
        (name, one.low, one.high, one.confidence, one.accuracy, one.count)
        for name, found in lines.items()
        for one in found.bins
        if one.count
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def figure(table: pd.DataFrame, stages: Mapping[str, str], labels: Labels, *, dark: bool = False) -> go.Figure:
    """A line a name in the colour of its stage (`stages`), the area of a mark being the number of answers in the bin;
    on the diagonal confidence is right."""
    theme = style.look(dark)
    drawn = go.Figure(
        go.Scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            name=labels.perfect,
            hoverinfo="skip",
            uid="perfect",
            line={"color": theme.quiet, "width": 1, "dash": "dash"},
        )
    )
    most = max(int(table["images"].max()), 1) if len(table) else 1
    for place, (name, stage) in enumerate(stages.items()):
        some = table[table["point"] == name]
        color = theme.stages.get(stage, theme.quiet)
        drawn.add_trace(
            go.Scatter(
                x=some["confidence"].tolist(),
                y=some["right"].tolist(),
                mode="lines+markers",
                name=UserText(name).plot(),
                line={"color": color, "width": 2, "dash": DASHES[place % len(DASHES)]},
                marker={
                    "symbol": style.symbol(stage, control=place > 0),
                    "color": color,
                    "size": [6 + (LARGEST - 6) * (count / most) ** 0.5 for count in some["images"]],
                },
                customdata=some[["images"]].to_numpy().tolist(),
                hovertemplate=labels.hover,
                uid=f"line/{place}",
            )
        )
    drawn.update_layout(
        style.layout(
            dark,
            height=HEIGHT,
            xaxis=style.axis(dark, labels.x, tickformat=".0%", range=[-0.02, 1.02]),
            yaxis=style.axis(dark, labels.y, tickformat=".0%", range=[-0.02, 1.02]),
        )
    )
    return drawn
