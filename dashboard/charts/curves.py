"""Learning curves of a run: a panel a step, accuracy on validation images over time; on demand also training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.state import RunState
from dashboard.charts import chance, style
from dashboard.charts.chance import Level

COLUMNS = ["step", "stage", "line", "epoch", "loss", "accuracy", "validation_accuracy"]
MOST = 2000  # points of a line; SVG stays smooth below
ACROSS = 2  # panels beside each other
PANEL = 0.76  # of a row's height; below lie the numbers and the name of its axis, and the title of the next row
FEW = 30  # points; a line of fewer is drawn as it is
_Trace = dict[str, Any]


@dataclass(frozen=True)
class Labels:
    """The words of this chart."""

    x: str
    accuracy: str
    loss: str
    lines: Mapping[str, str]  # by the info's `line`
    steps: Mapping[str, str] = field(default_factory=dict)  # the title of each panel, by step


def info(state: RunState) -> pd.DataFrame:
    """One row for each progress that has a figure; `epoch` counts from 0 in each line.

    `line` is `<step>` for the chain, `<step>:<control>` for a control, with `#<seed>` behind for further seeds.
    """
    rows = []
    first_seed: int | None = None
    for step in state.steps:
        for told in step.curve:
            first_seed = told.seed if first_seed is None else first_seed
            if told.loss is None and told.accuracy is None and told.validation_accuracy is None:
                continue
            line = f"{told.step}:{told.control}" if told.control else f"{told.step}"
            line += "" if told.seed == first_seed else f"#{told.seed}"
            done = told.epoch + (told.batch / told.batches if told.batches else 0.0)
            rows.append((told.step, step.stage, line, done, told.loss, told.accuracy, told.validation_accuracy))
    return pd.DataFrame(rows, columns=COLUMNS)


def smoothed(values: pd.Series[float], share: float) -> pd.Series[float]:
    """A debiased exponential moving average, as TensorBoard's: `share` (0 to below 1) of each value is its past, and
    the first values are not drawn towards zero. A share of 0, and fewer than FEW values, change nothing."""
    return values.ewm(alpha=1 - share, adjust=True).mean() if share and len(values) >= FEW else values


def figure(
    table: pd.DataFrame,
    labels: Labels,
    *,
    smoothing: float = 0.0,
    levels: Sequence[Level] = (),
    dark: bool = False,
    training: bool = False,
    earlier: pd.DataFrame | None = None,
) -> go.Figure:
    """A panel a step, each of its accuracy on validation images from 0 to 100 %, chance dashed; controls dashed too.

    With `training` also the accuracy on training images, dotted, and under each panel the training loss. `earlier` is
    the table of another run, drawn faintly behind. Smoothed lines leave the raw ones faintly underneath.
    """
    shown = table if training else table.dropna(subset=["validation_accuracy"])
    steps = sorted(int(step) for step in shown["step"].unique()) or [0]
    grid = _Grid(len(steps), training)
    traces: list[_Trace] = []
    axes: dict[str, Any] = {}
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for number, step in enumerate(steps):
        panel = _Panel(number, grid)
        axes |= panel.axes(labels, dark, blank=shown.empty)
        traces.append(_trace(panel, "y", x=[None], y=[None]))
        if earlier is not None:
            traces += _faint(earlier[earlier["step"] == step], panel, dark)
        rows = table[table["step"] == step]
        for line, own in rows.groupby("line", sort=False):
            brush = _Brush(labels.lines.get(str(line), str(line)), str(own["stage"].iloc[0]), ":" in str(line), dark)
            traces += _drawn(own, "validation_accuracy", panel, "solid", brush, smoothing)
            if training:
                traces += _drawn(own, "accuracy", panel, "dot", brush, smoothing)
                traces += _drawn(own, "loss", panel, "solid", brush, smoothing)
        shapes += [
            {**each, "xref": f"{panel.x} domain", "layer": "above"}  # "between" is not drawn across a part of the paper
            for each in chance.lines(levels, dark, panel.y)
        ]
        notes += [panel.title(labels.steps.get(str(step), ""), str(rows["stage"].iloc[0]) if len(rows) else "", dark)]
    first = _Panel(0, grid)
    notes += [{**each, "xref": f"{first.x} domain"} for each in chance.notes(levels, (0.0, 1.0), dark, axis=first.y)]
    layout = style.layout(
        dark, height=grid.height, hovermode="closest", shapes=shapes, annotations=notes, showlegend=False, **axes
    )
    return go.Figure(traces, layout)  # made at once: trace by trace it takes ten times as long


@dataclass(frozen=True)
class _Grid:
    """Panels in rows of two; with the loss each is taller."""

    panels: int
    training: bool

    @property
    def rows(self) -> int:
        return math.ceil(self.panels / ACROSS)

    @property
    def height(self) -> int:
        """Pixels; a single panel has as much as two."""
        return 60 + max(self.rows * (380 if self.training else 250), 360)


@dataclass(frozen=True)
class _Panel:
    """Where a step's panel lies, and what its axes are called."""

    number: int
    grid: _Grid

    @property
    def x(self) -> str:
        return _axis("x", self.number)

    @property
    def y(self) -> str:
        return _axis("y", self.number)

    @property
    def loss(self) -> str:
        return _axis("y", self.number + self.grid.panels)

    def axes(self, labels: Labels, dark: bool, *, blank: bool) -> dict[str, Any]:
        """The layout's part: shares of 1 from 0 to 1 above, the loss below where it is drawn."""
        row, column = divmod(self.number, ACROSS)
        across = min(ACROSS, self.grid.panels)
        left, right = (column + 0.09 * (column > 0)) / across, (column + 1 - 0.02 * (column + 1 < across)) / across
        rows = self.grid.rows - (1 - PANEL)  # the lowest row has its words below the paper
        bottom, top = 1 - (row + PANEL) / rows, 1 - (row + 0.06) / rows
        split = bottom + 0.4 * (top - bottom) if self.grid.training else bottom
        found = {
            _key(self.x): style.axis(
                dark,
                labels.x,
                anchor=self.loss if self.grid.training else self.y,
                domain=[left, right],
                **({"range": [0, 10]} if blank else {"rangemode": "tozero"}),
            ),
            _key(self.y): style.axis(
                dark,
                labels.accuracy if column == 0 else "",
                anchor=self.x,
                tickformat=".0%",
                range=[0, 1],
                showticklabels=column == 0,  # all panels have the same
                domain=[split + 0.04 * self.grid.training / self.grid.rows, top],
            ),
        }
        if self.grid.training:
            loss = labels.loss if column == 0 else ""
            axis = style.axis(dark, loss, anchor=self.x, rangemode="tozero", domain=[bottom, split])
            found[_key(self.loss)] = axis
        return found

    def title(self, text: str, stage: str, dark: bool) -> dict[str, Any]:
        """The step's mark and name above its panel."""
        return {
            "text": f"{style.MARKS.get(stage, '')} {text}".strip(),
            "showarrow": False,
            "xref": f"{self.x} domain",
            "x": 0,
            "xanchor": "left",
            "yref": f"{self.y} domain",
            "y": 1,
            "yanchor": "bottom",
            "font": {"color": style.look(dark).ink, "size": 13},
        }


def _axis(kind: str, number: int) -> str:
    return kind + (str(number + 1) if number else "")


def _key(axis: str) -> str:
    return f"{axis[0]}axis{axis[1:]}"


@dataclass(frozen=True)
class _Brush:
    name: str
    stage: str
    control: bool
    dark: bool

    @property
    def color(self) -> str:
        return style.look(self.dark).stages.get(self.stage, style.look(self.dark).quiet)


def _trace(panel: _Panel, axis: str, **more: Any) -> _Trace:
    """A line of a panel, on its accuracy (`y`) or its loss."""
    below = panel.loss if axis == "loss" else panel.y
    return {"type": "scatter", "xaxis": panel.x, "yaxis": below, "showlegend": False, **more}


def _faint(rows: pd.DataFrame, panel: _Panel, dark: bool) -> Iterator[_Trace]:
    """The chain of another run: what its controls and further seeds did is left out."""
    for line, own in rows.groupby("line", sort=False):
        known = own[["epoch", "validation_accuracy"]].dropna()
        if ":" in str(line) or "#" in str(line) or known.empty:
            continue
        yield _trace(
            panel,
            "y",
            x=known["epoch"].tolist(),
            y=known["validation_accuracy"].tolist(),
            mode="lines",
            line={"color": style.look(dark).quiet, "width": 2},
            opacity=0.45,
            hoverinfo="skip",
            uid=f"earlier/{line}",
        )


def _drawn(
    rows: pd.DataFrame, column: str, panel: _Panel, dash: str, brush: _Brush, smoothing: float
) -> Iterator[_Trace]:
    known = rows[["epoch", column]].dropna()
    if known.empty:
        return
    known = known.iloc[:: max(1, len(known) // MOST)]
    values = known[column].astype(float)
    if smoothing and len(known) >= FEW:
        yield _line(known["epoch"], values, panel, dash, brush, faint=True, column=column)
        values = smoothed(values, smoothing)
    yield _line(known["epoch"], values, panel, dash, brush, faint=False, column=column)


def _line(
    x: pd.Series[float],
    y: pd.Series[float],
    panel: _Panel,
    dash: str,
    brush: _Brush,
    *,
    faint: bool,
    column: str,
) -> _Trace:
    few = len(x) < 40
    return _trace(
        panel,
        "loss" if column == "loss" else "y",
        x=x.tolist(),
        y=y.tolist(),
        name=brush.name,
        mode="lines+markers" if few and not faint else "lines",
        line={"color": brush.color, "width": 1 if faint else 2, "dash": "dash" if brush.control else dash},
        marker={"symbol": style.symbol(brush.stage, control=brush.control), "size": 5, "color": brush.color},
        opacity=0.3 if faint else (0.65 if dash == "dot" else 1.0),
        uid=f"{brush.name}/{column}/{faint}",
        hovertemplate="%{y:.3f}" if column == "loss" else "%{y:.1%}",
    )
