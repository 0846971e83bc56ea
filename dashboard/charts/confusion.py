"""What is taken for what: a row a class, a column an answer; right answers in one colour, mistakes in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.statistics.confusion import Matrix
from core.text.escaping import UserText
from dashboard.charts import style

COLUMNS = ["truth", "answer", "images", "share", "before"]
MOST = 24  # classes drawn
TALL = 30  # pixels a class
STRONG = 0.55  # of a colour, from which on the number in it is written in the page's own


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` has plotly's places for the row, the column and the two customdata: images and,
    where there is a point to hold against, those before."""

    x: str
    y: str
    hover: str


def info(matrix: Matrix, names: Sequence[str], before: Matrix | None = None) -> pd.DataFrame:
    """A row a class and answer that some image has: how many, of all images of the class, and how many before."""
    rows = []
    for label, row in enumerate(matrix):
        for answer, images in enumerate(row):
            earlier = before[label][answer] if before is not None else None
            if images or earlier:
                rows.append((names[label], names[answer], images, images / max(sum(row), 1), earlier))
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table if before is not None else table.drop(columns="before")


def drawn_classes(matrix: Matrix, most: int = MOST) -> tuple[int, ...]:
    """The classes with most mistakes, given or received, in their own order; all where they are few."""
    wrong = [sum(row) + sum(other[label] for other in matrix) - 2 * row[label] for label, row in enumerate(matrix)]
    return tuple(sorted(sorted(range(len(matrix)), key=lambda label: -wrong[label])[:most]))


def most_confused(matrix: Matrix) -> tuple[int, int] | None:
    """The class and the wrong answer that go together most often; None without a mistake."""
    cells = [
        (images, label, answer)
        for label, row in enumerate(matrix)
        for answer, images in enumerate(row)
        if label != answer
    ]
    images, label, answer = max(cells, key=lambda cell: cell[0], default=(0, 0, 0))
    return (label, answer) if images else None


def figure(
    matrix: Matrix,
    names: Sequence[str],
    labels: Labels,
    *,
    before: Matrix | None = None,
    cell: tuple[int, int] | None = None,
    dark: bool = False,
) -> go.Figure:
    """The drawn classes from top to bottom; a click on a cell names it as `class,answer`, `cell` gets a frame."""
    shown = drawn_classes(matrix)
    theme = style.look(dark)
    drawn = go.Figure()
    for stage, right in (("transfer", True), ("quantize", False)):
        drawn.add_trace(_trace(matrix, names, shown, before, labels, right, theme.paper, theme.stages[stage]))
    drawn.update_layout(
        style.layout(
            dark,
            height=130 + TALL * max(len(shown), 4),
            annotations=_counts(matrix, shown, theme),
            shapes=_frame(shown, cell, theme),
            xaxis=style.axis(dark, labels.x, tickangle=-45, **_ticks(shown, names)),
            yaxis=style.axis(dark, labels.y, autorange="reversed", **_ticks(shown, names)),
        )
    )
    return drawn


def _ticks(shown: Sequence[int], names: Sequence[str]) -> dict[str, object]:
    texts = [UserText(names[label]).plot()[:24] for label in shown]
    return {"tickvals": list(range(len(shown))), "ticktext": texts, "showgrid": False}


def _trace(
    matrix: Matrix,
    names: Sequence[str],
    shown: Sequence[int],
    before: Matrix | None,
    labels: Labels,
    right: bool,
    paper: str,
    color: str,
) -> go.Heatmap:
    """Either the diagonal or all else; the colour is the share of the class."""
    share = [[matrix[a][b] / max(sum(matrix[a]), 1) if (a == b) == right else None for b in shown] for a in shown]
    earlier = before if before is not None else matrix
    told = [
        [[f"{a},{b}", UserText(names[a]).plot(), UserText(names[b]).plot(), matrix[a][b], earlier[a][b]] for b in shown]
        for a in shown
    ]
    return go.Heatmap(
        z=share,
        customdata=told,
        colorscale=[[0, paper], [1, color]],
        zmin=0,
        zmax=1 if right else 0.5,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate=labels.hover,
        hoverongaps=False,
        uid=f"right/{right}",
    )


def _counts(matrix: Matrix, shown: Sequence[int], theme: style.Look) -> list[dict[str, object]]:
    """The number in each cell that has images."""
    found: list[dict[str, object]] = []
    for row, a in enumerate(shown):
        whole = max(sum(matrix[a]), 1)
        for column, b in enumerate(shown):
            if matrix[a][b]:
                strength = matrix[a][b] / whole / (1 if a == b else 0.5)
                color = theme.paper if strength > STRONG else theme.ink
                found.append(
                    {
                        "x": column,
                        "y": row,
                        "text": str(matrix[a][b]),
                        "showarrow": False,
                        "font": {"color": color, "size": 12},
                    }
                )
    return found


def _frame(shown: Sequence[int], cell: tuple[int, int] | None, theme: style.Look) -> list[dict[str, object]]:
    if cell is None or not set(cell) <= set(shown):
        return []
    row, column = shown.index(cell[0]), shown.index(cell[1])
    ends = {"x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5}
    return [{"type": "rect", **ends, "line": {"color": theme.ink, "width": 2}}]
