"""The numbers along a logarithmic axis, each with its unit: plotly writes a lone 2 or 5 between two powers of ten."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

NARROW, MIDDLING = 1.3, 2.2  # decades; the wider the axis, the fewer numbers of a decade fit at 420 px
BEYOND = 1  # decades on either side, for who zooms out
Axis = dict[str, Any]
LARGE = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def logarithmic(values: Iterable[float], unit: str = "", told: Callable[[float, str], str] | None = None) -> Axis:
    """The part of a plotly axis that makes it logarithmic, with numbers for these values, written by `told` (default:
    `short`); what is not above 0 has no place on it."""
    known = [float(value) for value in values if 0 < value < math.inf]
    axis: Axis = {"type": "log", "minor": {"dtick": "D1", "ticks": "outside", "ticklen": 3}}
    if not known:
        return axis
    low, high = math.log10(min(known)), math.log10(max(known))
    digits = (1, 2, 5) if high - low < NARROW else (1, 3) if high - low < MIDDLING else (1,)
    decades = range(math.floor(low) - BEYOND, math.ceil(high) + BEYOND + 1)
    marks = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
    return {**axis, "tickvals": marks, "ticktext": [(told or short)(mark, unit) for mark in marks]}


def whole(value: float, unit: str = "") -> str:
    """`2,000`, `20` or `0.05`: for numbers whose unit the axis names."""
    return f"{value:,.0f} {unit}".strip() if value >= 1 else f"{value:g} {unit}".strip()


def short(value: float, unit: str = "") -> str:
    """`300 kB`, `1 MB`, `20 M` or `0.05`."""
    for letter, things in LARGE:
        if value >= things:
            return f"{value / things:g} {letter}{unit}"
    return f"{value:g} {unit}".strip()
