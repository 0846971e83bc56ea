"""Accuracy over two knobs: a mark a trial and, where both are numbers, colours that are interpolated between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.options import Value
from core.text.escaping import UserText
from dashboard.charts import style

HEIGHT = 380
LEAST, MOST = 4, 150  # trials from which, and up to which, there are colours between them
Told = Callable[[str, Value], str]
Pair = tuple[str, str]


def known(table: pd.DataFrame, paths: Pair) -> pd.DataFrame:
    """The measured trials that have both knobs."""
    return table.dropna(subset=[*paths, "accuracy"])


def is_interpolated(table: pd.DataFrame, paths: Pair) -> bool:
    """Whether there are colours between the trials: both knobs are numbers that took several values."""
    rows = known(table, paths)
    several = all(_is_number(rows[path]) and rows[path].nunique() > 1 for path in paths)
    return several and LEAST <= len(rows) <= MOST


def figure(
    table: pd.DataFrame,
    paths: Pair,
    titles: Pair,
    told: Told,
    labels: Pair,
    *,
    logs: tuple[bool, bool],
    dark: bool = False,
) -> go.Figure:
    """`labels` are the words for a trial and for its accuracy, `logs` says which axes are in equal ratios. What breaks
    a bound is a cross."""
    rows = known(table, paths)
    shown = rows.assign(**{path: _shown(rows[path], path, told) for path in paths})
    drawn = go.Figure()
    colors = {"cmin": float(rows["accuracy"].min()), "cmax": float(rows["accuracy"].max()), "colorscale": _scale(dark)}
    if is_interpolated(table, paths):
        drawn.add_trace(_between(rows, paths, colors, dark))
    for within, symbol in ((True, "circle"), (False, "x")):
        some = shown[shown["within"] == within]
        if len(some):
            drawn.add_trace(_marks(some, paths, symbol, labels, colors, dark))
    drawn.update_traces(marker_showscale=False, selector={"type": "scatter"})
    drawn.data[-1].update(marker_showscale=True) if len(shown) else None
    axes = {}
    for axis, path, title, log in zip(("xaxis", "yaxis"), paths, titles, logs, strict=True):
        kind = {"type": "category"} if not _is_number(rows[path]) else {"type": "log"} if log else {}
        axes[axis] = style.axis(dark, UserText(title).plot(), **kind)
    drawn.update_layout(style.layout(dark, height=HEIGHT, showlegend=False, hovermode="closest", **axes))
    return drawn


def _between(rows: pd.DataFrame, paths: Pair, colors: dict[str, Any], dark: bool) -> go.Contour:
    grid = rows.pivot_table(index=paths[1], columns=paths[0], values="accuracy", aggfunc="mean")
    return go.Contour(
        x=grid.columns.tolist(),
        y=grid.index.tolist(),
        z=grid.to_numpy().tolist(),
        connectgaps=True,
        hoverinfo="skip",
        zmin=colors["cmin"],
        zmax=colors["cmax"],
        colorscale=colors["colorscale"],
        showscale=False,
        opacity=0.7,
        line={"width": 0.5, "color": style.look(dark).quiet},
    )


def _marks(
    rows: pd.DataFrame, paths: Pair, symbol: str, labels: Pair, colors: dict[str, Any], dark: bool
) -> go.Scatter:
    bar = {"tickformat": ".0%", "title": {"text": labels[1], "side": "right"}, "outlinewidth": 0}
    marker = {
        "symbol": symbol,
        "size": 11,
        "color": rows["accuracy"].tolist(),
        **colors,
        "colorbar": bar,
        "line": {"width": 1, "color": style.look(dark).ink},
    }
    texts = [f"{labels[0]} {n}: {100 * a:.1f} %" for n, a in zip(rows["trial"], rows["accuracy"], strict=True)]
    return go.Scatter(
        x=rows[paths[0]].tolist(),
        y=rows[paths[1]].tolist(),
        mode="markers",
        marker=marker,
        text=texts,
        hovertemplate="%{x} · %{y}<br>%{text}<extra></extra>",
    )


def _scale(dark: bool) -> list[list[object]]:
    theme = style.look(dark)
    return [[0, theme.paper], [1, theme.stages["transfer"]]]


def _shown(values: pd.Series, path: str, told: Told) -> pd.Series:
    return values if _is_number(values) else values.map(lambda each: UserText(told(path, each)).plot())


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values)) and not pd.api.types.is_bool_dtype(values)
