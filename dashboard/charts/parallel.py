"""Parallel coordinates: a line a point through all its figures at once; dragging along an axis keeps only what lies in
that span. Sizes and times are on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.charts import chance, style

SHARES = ("validation", "accuracy")
COSTS = ("bytes", "p50", "params", "macs")
STAGES = tuple(style.SYMBOLS)
UNITS = {9: "G", 6: "M", 3: "k", 0: ""}


@dataclass(frozen=True)
class Labels:
    """The words of this chart: of each axis (`stage` and the figures), and of each stage."""

    axes: Mapping[str, str]
    stages: Mapping[str, str]


def info(points: pd.DataFrame) -> pd.DataFrame:
    """The points that have every figure, and a cost above zero on every axis; controls too."""
    figures = points[[*SHARES, *COSTS]]
    whole = figures.notna().all(axis=1) & (points[list(COSTS)] > 0).all(axis=1)
    return points.loc[whole & points["stage"].isin(STAGES), ["id", "run_name", "name", "stage", *SHARES, *COSTS]]


def figure(table: pd.DataFrame, labels: Labels, *, dark: bool = False) -> go.Figure:
    """Lines in the colour of their stage."""
    theme = style.look(dark)
    place = table["stage"].map(STAGES.index).astype(float)
    last = len(STAGES) - 1
    axes = [
        {"label": labels.axes["stage"], "values": place.tolist(), "range": [0, last], "tickvals": list(range(last + 1)),
         "ticktext": [f"{style.MARKS[stage]} {labels.stages[stage]}" for stage in STAGES]},
        *(
            {"label": labels.axes[name], "values": (100 * table[name]).tolist(),
             "range": [100 * end for end in chance.span(table[name])]}
            for name in SHARES
        ),
        *(_logarithmic(table[name], labels.axes[name]) for name in COSTS),
    ]  # fmt: skip
    font = {"family": style.FONT, "size": 12}
    drawn = go.Figure(
        go.Parcoords(
            line={
                "color": place.tolist(),
                "colorscale": [[n / last, theme.stages[stage]] for n, stage in enumerate(STAGES)],
                "cmin": 0,
                "cmax": last,
            },
            dimensions=axes,
            labelangle=-20,  # beside each other they do not fit on a telephone
            labelfont={**font, "color": theme.ink},
            tickfont={**font, "color": theme.ink, "shadow": "none"},
            rangefont={**font, "color": theme.quiet},
            unselected={"line": {"color": theme.grid, "opacity": 0.4}},
        )
    )
    drawn.update_layout(style.layout(dark, height=400, margin={"l": 72, "r": 48, "t": 84, "b": 32}))
    return drawn


def _logarithmic(values: pd.Series[float], label: str) -> dict[str, object]:
    """An axis of decimal logarithms whose ticks are the numbers themselves."""
    logs = np.log10(values.astype(float))
    low, high = (float(logs.min()), float(logs.max())) if len(logs) else (0.0, 1.0)
    digits = (1, 2, 5) if high - low < 1.5 else (1,)
    ticks = [digit * 10.0**decade for decade in range(math.floor(low), math.ceil(high) + 1) for digit in digits]
    shown = [tick for tick in ticks if low <= math.log10(tick) <= high]
    return {
        "label": label, "values": logs.tolist(),
        "tickvals": [math.log10(tick) for tick in shown], "ticktext": [_told(tick) for tick in shown],
    }  # fmt: skip


def _told(number: float) -> str:
    """The number with its decimal prefix: 50k, 2M, 0.2."""
    power = next((p for p in (9, 6, 3) if number >= 10.0**p * 0.999), 0)
    return f"{number / 10**power:.3g}{UNITS[power]}"
