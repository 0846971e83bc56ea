"""Parallel coordinates: a line a point through its settings and all its figures; dragging along an axis keeps only what
lies in that span. Sizes and times are on logarithmic axes.

Inselberg 1985, The plane with parallel coordinates, https://doi.org/10.1007/BF01898350.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.charts import chance, style

SHARES = ("validation", "accuracy")
COSTS = ("bytes", "p50", "params", "macs")
STAGES = tuple(style.SYMBOLS)
MOST_TICKS = 8  # of a setting
BELOW = 0.15  # of a setting's span: where the points without it are
UNITS = {9: "G", 6: "M", 3: "k", 0: ""}


@dataclass(frozen=True)
class Labels:
    """The words of this chart: of each axis (`stage` and the figures), of each stage, of each setting, and of `none`:
    that a point has no such setting."""

    axes: Mapping[str, str]
    stages: Mapping[str, str]
    knobs: Mapping[str, str] = field(default_factory=dict)
    none: str = "–"


def info(points: pd.DataFrame, knobs: pd.DataFrame | None = None) -> pd.DataFrame:
    """The points that have every figure, and a cost above zero on every axis; controls too. `knobs` is a part of
    `knobs.info`: its columns are added under their text."""
    figures = points[[*SHARES, *COSTS]]
    whole = figures.notna().all(axis=1) & (points[list(COSTS)] > 0).all(axis=1)
    kept = points.loc[whole & points["stage"].isin(STAGES), ["id", "run_name", "name", "stage", *SHARES, *COSTS]]
    if knobs is None:
        return kept
    known = kept[kept["id"].isin(knobs.index)]
    return known.join(knobs, on="id")


def figure(
    table: pd.DataFrame,
    labels: Labels,
    told: Mapping[str, Callable[[object], str]] | None = None,
    *,
    dark: bool = False,
) -> go.Figure:
    """Lines in the colour of their stage; `told` says the values of a setting."""
    theme = style.look(dark)
    place = table["stage"].map(STAGES.index).astype(float)
    last = len(STAGES) - 1
    axes = [
        *(
            _setting(table[name], title, (told or {}).get(name, str), labels.none)
            for name, title in labels.knobs.items()
        ),
        {
            "label": labels.axes["stage"],
            "values": place.tolist(),
            "range": [0, last],
            "tickvals": list(range(last + 1)),
            "ticktext": [f"{style.MARKS[stage]} {labels.stages[stage]}" for stage in STAGES],
        },
        *(
            {
                "label": labels.axes[name],
                "values": (100 * table[name]).tolist(),
                "range": [100 * end for end in chance.span(table[name])],
            }
            for name in SHARES
        ),
        *(_logarithmic(table[name], labels.axes[name]) for name in COSTS),
    ]
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


def _setting(values: pd.Series[Any], label: str, told: Callable[[object], str], none: str) -> dict[str, object]:
    """An axis of a setting: numbers in their places, words one above the other; below them the points without it."""
    there = values.dropna()
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
    different = sorted(there.unique(), key=lambda value: value if numeric else str(value))
    places = {value: float(value) if numeric else float(number) for number, value in enumerate(different)}
    low, high = min(places.values(), default=0.0), max(places.values(), default=1.0)
    below = low - BELOW * (high - low or 1.0)
    shown = different[:: max(1, -(-len(different) // MOST_TICKS))]
    ticks = {places[value]: told(value) for value in shown} | ({below: none} if len(there) < len(values) else {})
    return {
        "label": label,
        "values": [below if value != value or value is None else places[value] for value in values],
        "range": [below if len(there) < len(values) else low, high if high > low else low + 1.0],
        "tickvals": list(ticks),
        "ticktext": list(ticks.values()),
    }


def _logarithmic(values: pd.Series[float], label: str) -> dict[str, object]:
    """An axis of decimal logarithms whose ticks are the numbers themselves."""
    logs = np.log10(values.astype(float))
    low, high = (float(logs.min()), float(logs.max())) if len(logs) else (0.0, 1.0)
    digits = (1, 2, 5) if high - low < 1.5 else (1,)
    ticks = [digit * 10.0**decade for decade in range(math.floor(low), math.ceil(high) + 1) for digit in digits]
    shown = [tick for tick in ticks if low <= math.log10(tick) <= high]
    return {
        "label": label,
        "values": logs.tolist(),
        "tickvals": [math.log10(tick) for tick in shown],
        "ticktext": [_told(tick) for tick in shown],
    }


def _told(number: float) -> str:
    """The number with its decimal prefix: 50k, 2M, 0.2."""
    power = next((p for p in (9, 6, 3) if number >= 10.0**p * 0.999), 0)
    return f"{number / 10**power:.3g}{UNITS[power]}"
