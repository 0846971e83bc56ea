"""The share of right answers of each class with its 95 % interval, of one point or of two beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.statistics.confusion import Matrix, by_class
from core.text.escaping import UserText
from dashboard.charts import style
from dashboard.charts.classes import Mark

COLUMNS = ["point", "stage", "control", "class", "right", "images", "share", "low", "high"]
MOST = 40  # classes drawn
TALL = 30  # pixels a class


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` has plotly's places for the point's name, the class and the text made of its
    numbers."""

    x: str
    hover: str


def info(points: Mapping[Mark, Matrix], names: Sequence[str]) -> pd.DataFrame:
    """A row a point and class that has images, with the 95 % Wilson interval of its share."""
    rows = [
        (mark.name, mark.stage, mark.control, names[one.label], one.right, one.images, one.share, *one.interval)
        for mark, matrix in points.items()
        for one in by_class(matrix)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def changes(table: pd.DataFrame) -> pd.DataFrame:
    """Of two points a row a class: the shares of both, and the change from the second to the first; the largest loss
    first. Of one point the shares, the lowest first."""
    points = list(dict.fromkeys(table["point"]))
    wide = table.pivot(index="class", columns="point", values="share").reindex(columns=points)
    found = wide.assign(change=wide[points[0]] - wide[points[-1]])
    by = ["change", points[0]] if len(points) > 1 else [points[0]]
    return found.sort_values(by, kind="stable").reset_index()


def figure(table: pd.DataFrame, labels: Labels, *, order: Sequence[str] | None = None, dark: bool = False) -> go.Figure:
    """A mark a point and class with its interval as whiskers; classes in this order, or in that of `changes`."""
    theme = style.look(dark)
    order = list(order if order is not None else map(str, changes(table)["class"]))[:MOST]
    drawn = go.Figure()
    marks = list(table[["point", "stage", "control"]].drop_duplicates().itertuples(index=False))
    for place, (point, stage, control) in enumerate(marks):
        some = table[table["point"] == point].set_index("class").reindex(order)
        shift = (place - (len(marks) - 1) / 2) * 0.3
        drawn.add_trace(
            go.Scatter(
                x=some["share"].tolist(),
                y=[row + shift for row in range(len(order))],
                mode="markers",
                name=UserText(point).plot(),
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": (some["high"] - some["share"]).tolist(),
                    "arrayminus": (some["share"] - some["low"]).tolist(),
                    "thickness": 1,
                    "width": 3,
                    "color": theme.quiet,
                },
                marker={
                    "symbol": style.symbol(stage, control=control or place > 0),
                    "size": 10,
                    "color": theme.stages.get(stage, theme.quiet),
                },
                customdata=[
                    [UserText(name).plot(), right, images]
                    for name, right, images in zip(order, some["right"], some["images"], strict=True)
                ],
                hovertemplate=labels.hover,
                uid=f"{place}",
            )
        )
    ticks = {"tickvals": list(range(len(order))), "ticktext": [UserText(name).plot()[:24] for name in order]}
    drawn.update_layout(
        style.layout(
            dark,
            height=120 + TALL * max(len(order), 4),
            xaxis=style.axis(dark, labels.x, tickformat=".0%", range=[-0.02, 1.02]),
            yaxis=style.axis(dark, "", range=[len(order) - 0.5, -0.5], **ticks),
        )
    )
    return drawn
