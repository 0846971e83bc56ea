"""Images as points in a plane, coloured by class or by what became of their answer; symbols tell the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.questions.feature_map import FeatureMap
from core.text.escaping import UserText
from dashboard.charts import style

COLUMNS = ["x", "y", "domain", "image", "class", "group"]
HEIGHT = 520
# Okabe & Ito without yellow, which is too light on paper; further groups repeat the colours with another symbol.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D31")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
TARGET = "-open"  # symbols of the target are hollow


@dataclass(frozen=True)
class Labels:
    """The words of this chart: the axes, `target` for the legend with {name}, `hover` with plotly's places for the
    group's name and the image's number."""

    x: str
    y: str
    target: str
    hover: str


def info(found: FeatureMap, groups: Sequence[str]) -> pd.DataFrame:
    """A row an image; `groups` names for each what it is coloured by."""
    rows = [
        (x, y, "target" if target else "source", place, found.classes[label] if label >= 0 else "", group)
        for x, y, target, place, label, group in zip(
            found.x, found.y, found.target, found.place, found.label, groups, strict=True
        )
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def figure(
    table: pd.DataFrame,
    order: Sequence[str],
    labels: Labels,
    *,
    names: Mapping[str, str],
    chosen: str = "",
    dark: bool = False,
) -> go.Figure:
    """A trace a group and domain; `order` is that of the groups, `names` what they are called, `chosen` the image that
    is marked, by its id."""
    theme = style.look(dark)
    drawn = go.Figure()
    for number, group in enumerate(order):
        color = COLORS[number % len(COLORS)]
        symbol = SYMBOLS[(number // len(COLORS)) % len(SYMBOLS)]
        for domain in ("source", "target"):
            rows = table[(table["group"] == group) & (table["domain"] == domain)]
            if rows.empty:
                continue
            ids = [f"{domain}-{place}" for place in rows["image"]]
            name = UserText(names.get(group, group)).plot()
            drawn.add_scatter(
                x=rows["x"],
                y=rows["y"],
                mode="markers",
                uid=f"{group}/{domain}",
                name=name if domain == "source" else labels.target.format(name=name),
                customdata=[[each, name, int(place)] for each, place in zip(ids, rows["image"], strict=True)],
                hovertemplate=labels.hover,
                marker={
                    "color": color,
                    "symbol": symbol + (TARGET if domain == "target" else ""),
                    "size": [15 if each == chosen else 8 for each in ids],
                    "opacity": 0.85,
                    "line": {"width": 1, "color": theme.paper if domain == "source" else color},
                },
            )
    quiet = {"showticklabels": False, "ticks": ""}
    drawn.update_layout(
        style.layout(
            dark,
            height=HEIGHT,
            showlegend=True,
            dragmode="pan",
            xaxis=style.axis(dark, labels.x, **quiet),
            yaxis=style.axis(dark, labels.y, **quiet),
        )
    )
    return drawn
