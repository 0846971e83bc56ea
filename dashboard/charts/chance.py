"""The level of chance in a chart of accuracies, and the span such a chart shows: never beyond 0 to 100 %."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.charts import style

ROOM = 0.08  # of the values' span, above and below them: a mark is up to a twentieth of a chart high
NARROWEST = 0.02  # one point of percent to each side of values that are all the same
LINE = 20  # pixels: the height of a note
FAR = 3.0  # times the values' span: a level farther away would squeeze them into less than a third of the chart


@dataclass(frozen=True)
class Level:
    """A level of chance as a share of 1, its label, and what is told when the mouse rests on the label."""

    share: float
    label: str
    hint: str


def span(values: Iterable[float], levels: Sequence[Level] = ()) -> tuple[float, float]:
    """The shares an axis shows: the values with some room, and the levels that are not far away; within 0 and 1."""
    known = [float(value) for value in values if not math.isnan(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    wide = max(high - low, NARROWEST)
    ends = [low, high]
    for level in levels:
        if max(high, level.share) - min(low, level.share) <= FAR * wide:
            ends.append(level.share)
    room = max(ROOM * (max(ends) - min(ends)), NARROWEST / 2)
    return max(min(ends) - room, 0.0), min(max(ends) + room, 1.0)


def lines(levels: Sequence[Level], dark: bool, axis: str = "y") -> list[dict[str, Any]]:
    """Dashed lines across the plot, for a layout's `shapes`; those that lie outside of the span come into view when a
    person zooms out."""
    line = {"color": style.look(dark).ink, "width": 1.5, "dash": "dash"}
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": axis, "layer": "between", "line": line}
    return [{**across, "y0": level.share, "y1": level.share} for level in levels]


def notes(
    levels: Sequence[Level], shown: tuple[float, float], dark: bool, *, axis: str = "y", domain: float = 0.0
) -> list[dict[str, Any]]:
    """The words at the lines, for a layout's `annotations`; of a line outside of the span at the nearer edge with an
    arrow, several there on lines of their own. `domain` is where the axis begins on the paper, 0 to 1."""
    theme = style.look(dark)
    look = {
        "showarrow": False,
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "captureevents": True,
        "font": {"color": theme.ink, "size": 12},
        "bgcolor": theme.paper,
        "opacity": 0.9,
    }
    found: list[dict[str, Any]] = []
    for level in levels:
        words = {"text": level.label, "hovertext": level.hint}
        if level.share < shown[0]:
            at = LINE * sum(note["yanchor"] == "bottom" and note["yref"] == "paper" for note in found)
            place = {"yref": "paper", "y": domain, "yanchor": "bottom", "text": f"↓ {level.label}", "yshift": at}
        elif level.share > shown[1]:
            at = -LINE * sum(note["yanchor"] == "top" and note["yref"] == "paper" for note in found)
            place = {"yref": "paper", "y": 1, "yanchor": "top", "text": f"↑ {level.label}", "yshift": at}
        else:
            above = level.share < (shown[0] + shown[1]) / 2
            place = {"yref": axis, "y": level.share, "yanchor": "bottom" if above else "top"}
        found.append({**look, **words, **place})
    return found
