"""The images of each class, stacked by split: where a dataset is thin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
import plotly.graph_objects as go

from core.own.dataset_report import ClassCount
from core.text.escaping import UserText
from dashboard.charts import style

SPLITS = ("train", "validation", "test")
COLORS = ("transfer", "distill", "prune")  # of the splits, by the stages' colours
PATTERNS = ("", "/", "x")  # a second mark beside the colour
PATTERN = {"fillmode": "overlay", "fgopacity": 0.8, "size": 6}  # without it plotly draws the pattern and no colour
MOST = 40  # classes drawn, the smallest ones
TALL = 24  # pixels a class


def info(classes: Iterable[ClassCount]) -> pd.DataFrame:
    """A row a class: its images in each split and in all, in the order of the classes."""
    rows = [(each.name, each.train, each.validation, each.test, each.images) for each in classes]
    return pd.DataFrame(rows, columns=["class", *SPLITS, "images"])


def figure(table: pd.DataFrame, title: str, names: Mapping[str, str], *, dark: bool = False) -> go.Figure:
    """Bars of the classes with the fewest images, at most MOST, in their order; `title` is the axis's, `names` those of
    the splits."""
    theme = style.look(dark)
    fewest = table.sort_values("images", kind="stable").head(MOST).index
    rows = table.loc[sorted(fewest)]
    places = [UserText(name).plot() for name in rows["class"]]
    drawn = go.Figure()
    for split, color, pattern in zip(SPLITS, COLORS, PATTERNS, strict=True):
        drawn.add_bar(
            y=places,
            x=rows[split].tolist(),
            name=names[split],
            uid=split,
            orientation="h",
            marker={"color": theme.stages[color], "pattern": {**PATTERN, "shape": pattern, "fgcolor": theme.paper}},
            hovertemplate=f"%{{y}}<br>{names[split]}: %{{x}}<extra></extra>",
        )
    drawn.update_layout(
        style.layout(
            dark,
            height=110 + TALL * len(rows),
            barmode="stack",
            bargap=0.25,
            showlegend=True,
            legend_traceorder="normal",
            xaxis=style.axis(dark, title, rangemode="tozero"),
            yaxis=style.axis(
                dark, "", type="category", categoryorder="array", categoryarray=places, autorange="reversed"
            ),
        )
    )
    return drawn
