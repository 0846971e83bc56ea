"""What each layer of a saved file costs: a bar a layer, in the file's order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.questions.layers import Layer
from core.text.escaping import UserText
from dashboard.charts import style

MEASURES = ("bytes", "microseconds", "macs", "signal_to_noise", "sensitivity")
TALL = 22  # pixels a layer


@dataclass(frozen=True)
class Labels:
    """The words of this chart: the title of the axis with its unit."""

    x: str


def info(layers: Iterable[Layer]) -> pd.DataFrame:
    """A row a layer: bytes, microseconds, multiply-accumulates, bits, channels, decibels, share of accuracy lost; NaN
    where something was not measured."""
    rows = [
        (
            one.name,
            one.op,
            one.bytes,
            one.microseconds,
            one.macs,
            one.bits,
            one.channels_before,
            one.channels,
            one.weights.zeros,
            one.signal_to_noise,
            one.sensitivity,
        )
        for one in layers
    ]
    names = ["layer", "op", "bytes", "microseconds", "macs", "bits", "channels_before", "channels", "zeros"]
    return pd.DataFrame(rows, columns=[*names, "signal_to_noise", "sensitivity"])


def offered(table: pd.DataFrame) -> list[str]:
    """The measures of which anything is known."""
    return [name for name in MEASURES if table[name].notna().any()]


def largest(table: pd.DataFrame, measure: str) -> tuple[str, float]:
    """The layer that costs most, and its share of all layers; of a ratio the lowest layer, with its decibels."""
    values = table[measure].astype("float64")
    if measure == "signal_to_noise":
        place = int(values.argmin())
        return str(table["layer"].iloc[place]), float(values.iloc[place])
    place = int(values.fillna(0).argmax())
    return str(table["layer"].iloc[place]), float(values.iloc[place]) / max(float(values.sum()), 1e-12)


def figure(table: pd.DataFrame, measure: str, labels: Labels, *, dark: bool = False) -> go.Figure:
    """The first layer on top."""
    theme = style.look(dark)
    places = [UserText(name).plot() for name in table["layer"]]
    scale = 100 if measure == "sensitivity" else 1
    values = (scale * table[measure].astype("float64")).tolist()
    drawn = go.Figure(
        go.Bar(
            y=places,
            x=values,
            orientation="h",
            marker={"color": theme.stages["transfer"]},
            hovertemplate=f"%{{y}}<br>{labels.x}: %{{x:,.4~g}}<extra></extra>",
        )
    )
    drawn.update_layout(
        style.layout(
            dark,
            height=90 + TALL * max(len(places), 4),
            bargap=0.25,
            xaxis=style.axis(dark, labels.x, rangemode="tozero"),
            yaxis=style.axis(dark, "", type="category", categoryarray=places, autorange="reversed"),
        )
    )
    return drawn
