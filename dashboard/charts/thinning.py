"""Thousands of points in one chart: of those that would lie upon each other one is drawn."""

from __future__ import annotations

from math import log10
from typing import Any

import pandas as pd

from dashboard.charts.front import Axes

MOST = 5000  # marks; below, all are drawn
CELLS = (100, 60)  # a chart's width and height in cells: about six pixels, less than most marks


def thinned(table: pd.DataFrame, axes: Axes, keep: pd.Series[bool]) -> pd.DataFrame:
    """The rows of an `info` to be drawn: all of them up to MOST, else one a cell, stage and role, and those to `keep`.

    In each cell the point with the best validation accuracy stands for the others of its kind.
    """
    if len(table) <= MOST:
        return table
    ranked = table.sort_values("validation", ascending=False, kind="stable")
    cell = pd.DataFrame(
        {
            "x": _cells(ranked[axes.x], CELLS[0], axes.log),
            "y": _cells(ranked[axes.y], CELLS[1], False),
            "stage": ranked["stage"].astype("category").cat.codes,
            "control": ranked["control"],
        }
    )
    return table[keep | ~cell.duplicated().reindex(table.index)]


def _cells(values: pd.Series[float], count: int, log: bool) -> pd.Series[Any]:
    placed = values.rank(method="dense") if values.nunique() < count else _logarithm(values) if log else values
    room = (placed.max() - placed.min()) or 1.0
    return ((placed - placed.min()) / room * count).astype(int)


def _logarithm(values: pd.Series[float]) -> pd.Series[float]:
    return values.clip(lower=1e-12).map(log10)
