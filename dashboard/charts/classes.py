"""The share of right answers of each class, a mark a point: where compression takes from a class more than from all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.comparison.difference import Accuracy, Difference, judged
from core.statistics.intervals import wilson
from core.text.escaping import UserText
from dashboard.charts import chance, style

COLUMNS = ["point", "stage", "control", "class", "right", "images", "share"]
MOST = 30  # classes drawn
TALL = 26  # pixels a class


@dataclass(frozen=True)
class Mark:
    """A point of the comparison: what it is called, its stage, and whether it is a control."""

    name: str
    stage: str
    control: bool = False


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` has places for point, name, right, images and share."""

    x: str
    hover: str


Utf8Text = tuple[Sequence[str], NDArray[np.bool_], NDArray[np.int64]]  # names [C], right [N], labels [N]


def info(points: Mapping[Mark, Utf8Text]) -> pd.DataFrame:
    """A row a point and class that has test images, the points in their order: how many of how many are right."""
    rows = []
    for mark, (names, right, labels) in points.items():
        images = np.bincount(labels, minlength=len(names))
        hits = np.bincount(labels[right], minlength=len(names))
        for name, hit, count in zip(names, hits.tolist(), images.tolist(), strict=True):
            if count:
                rows.append((mark.name, mark.stage, mark.control, name, hit, count, hit / count))
    return pd.DataFrame(rows, columns=COLUMNS)


def most_different(table: pd.DataFrame, most: int = MOST) -> pd.DataFrame:
    """The classes on which the points differ most, at most so many; they keep their order."""
    spans = table.groupby("class", sort=False)["share"].agg(lambda shares: shares.max() - shares.min())
    kept = spans.sort_values(ascending=False, kind="stable").head(most).index
    return table[table["class"].isin(kept)]


def largest_loss(table: pd.DataFrame) -> tuple[str, Difference]:
    """The class that loses most against the first point, and how much; the loss may be a gain."""
    first, *others = table["point"].unique()
    wide = table.pivot(index="class", columns="point", values="share")
    changes = wide[others].sub(wide[first], axis=0)
    name = str(changes.min(axis=1).idxmin())
    found = change_in(table, name, str(changes.loc[name].idxmin()), str(first))
    assert found is not None  # both have images of it
    return name, found


def change_in(table: pd.DataFrame, name: str, one: str, other: str) -> Difference | None:
    """In one class, the share of right answers of point `one` minus that of `other`, judged by their intervals; None
    where one of them has no images of it."""
    some = table[table["class"] == name]
    counts = {
        str(point): (share, images)
        for point, share, images in zip(some["point"], some["share"], some["images"], strict=True)
    }
    if one not in counts or other not in counts:
        return None
    (mine, theirs) = (Accuracy(share, *wilson(share, images)) for share, images in (counts[one], counts[other]))
    return judged(mine, theirs, lambda: None)


def figure(table: pd.DataFrame, labels: Labels, *, dark: bool = False) -> go.Figure:
    """A line a class from the lowest to the highest share; the first point's mark is the largest, hollow ones are of
    controls."""
    theme = style.look(dark)
    names = [str(name) for name in table["class"].unique()]
    places = {name: UserText(name).plot() for name in names}
    drawn = go.Figure()
    spans = table.groupby("class", sort=False)["share"].agg(["min", "max"])
    ends = [(low, high, places[str(name)]) for name, low, high in spans.itertuples()]
    drawn.add_scatter(
        x=[x for low, high, _ in ends for x in (low, high, None)],
        y=[y for _, _, place in ends for y in (place, place, None)],
        mode="lines",
        line={"color": theme.grid, "width": 3},
        hoverinfo="skip",
        showlegend=False,
        uid="spans",
    )
    for number, (point, rows) in enumerate(table.groupby("point", sort=False)):
        stage, control = str(rows["stage"].iloc[0]), bool(rows["control"].iloc[0])
        name = UserText(point).plot()
        drawn.add_scatter(
            x=rows["share"].tolist(),
            y=[places[str(one)] for one in rows["class"]],
            mode="markers",
            cliponaxis=False,  # 100 % is at the very edge
            name=name,
            uid=name,
            marker={
                "symbol": style.symbol(stage, control=control),
                "color": theme.stages.get(stage, theme.quiet),
                "size": 15 if number == 0 else 10,
                "line": {"color": theme.paper, "width": 1},
            },
            hovertext=[
                labels.hover.format(
                    point=name,
                    name=places[str(r["class"])],
                    right=r["right"],
                    images=r["images"],
                    share=f"{100 * r['share']:.1f} %",
                )
                for _, r in rows.iterrows()
            ],
            hoverinfo="text",
        )
    drawn.update_layout(
        style.layout(
            dark,
            height=110 + TALL * max(len(names), 4),
            hovermode="closest",
            showlegend=True,
            xaxis=style.axis(dark, labels.x, tickformat=".0%", range=chance.span(table["share"])),
            yaxis=style.axis(
                dark,
                "",
                type="category",
                categoryorder="array",
                categoryarray=list(places.values()),
                autorange="reversed",
            ),
        )
    )
    return drawn
