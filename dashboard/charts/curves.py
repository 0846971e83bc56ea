"""Learning curves of a run: accuracy and loss over time, one line a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.state import RunState
from dashboard.charts import chance, style
from dashboard.charts.chance import Level

COLUMNS = ["step", "stage", "line", "epoch", "loss", "accuracy", "validation_accuracy"]
MOST = 2000  # points of a line; SVG stays smooth below
LOWEST = 0.43  # of the chart's height: where accuracy begins, above the loss
FEW = 30  # points; a line of fewer is drawn as it is


@dataclass(frozen=True)
class Labels:
    """The words of this chart."""

    x: str
    accuracy: str
    loss: str
    lines: Mapping[str, str]  # by the info's `line`


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
) -> go.Figure:
    """Accuracy above (validation solid, training dotted, chance dashed), loss below; the raw lines stay faintly
    underneath."""
    drawn = go.Figure([go.Scatter(x=[None], y=[None], yaxis=place, showlegend=False) for place in ("y", "y2")])
    for line, rows in table.groupby("line", sort=False):
        name, stage = labels.lines.get(str(line), str(line)), str(rows["stage"].iloc[0])
        control = ":" in str(line)
        brush = _Brush(name, stage, control, dark)
        for column, place, dash in (
            ("validation_accuracy", "y", "solid"),
            ("accuracy", "y", "dot"),
            ("loss", "y2", "solid"),
        ):
            _draw(drawn, rows, column, place, dash, brush, smoothing)
    blank = table.empty
    visible = chance.span(table[["accuracy", "validation_accuracy"]].astype(float).to_numpy().ravel(), levels)
    drawn.update_layout(
        style.layout(
            dark,
            height=420,
            showlegend=True,
            hovermode="closest",
            xaxis=style.axis(dark, labels.x, anchor="y2", **({"range": [0, 10]} if blank else {})),
            shapes=chance.lines(levels, dark),
            annotations=chance.notes(levels, visible, dark, domain=LOWEST),
            yaxis=style.axis(dark, labels.accuracy, tickformat=".3~p", domain=[LOWEST, 1.0], range=visible),
            yaxis2=style.axis(dark, labels.loss, rangemode="tozero", domain=[0.0, 0.37]),
        )
    )
    return drawn


@dataclass(frozen=True)
class _Brush:
    name: str
    stage: str
    control: bool
    dark: bool

    @property
    def color(self) -> str:
        return style.look(self.dark).stages.get(self.stage, style.look(self.dark).quiet)


def _draw(
    drawn: go.Figure, rows: pd.DataFrame, column: str, place: str, dash: str, brush: _Brush, smoothing: float
) -> None:
    known = rows[["epoch", column]].dropna()
    if known.empty:
        return
    known = known.iloc[:: max(1, len(known) // MOST)]
    values = known[column].astype(float)
    if smoothing and len(known) >= FEW:
        _line(drawn, known["epoch"], values, place, dash, brush, faint=True, column=column)
        values = smoothed(values, smoothing)
    _line(drawn, known["epoch"], values, place, dash, brush, faint=False, column=column)


def _line(
    drawn: go.Figure,
    x: pd.Series[float],
    y: pd.Series[float],
    place: str,
    dash: str,
    brush: _Brush,
    *,
    faint: bool,
    column: str,
) -> None:
    few = len(x) < 40
    trace = go.Scatter(
        x=x.tolist(),
        y=y.tolist(),
        name=brush.name,
        legendgroup=brush.name,
        showlegend=column == "loss" and not faint,
        mode="lines+markers" if few and not faint else "lines",
        line={"color": brush.color, "width": 1 if faint else 2, "dash": "dash" if brush.control else dash},
        marker={"symbol": style.symbol(brush.stage, control=brush.control), "size": 5, "color": brush.color},
        opacity=0.3 if faint else (0.65 if dash == "dot" else 1.0),
        yaxis=place,
        uid=f"{brush.name}/{column}/{faint}",
        hovertemplate="%{y:.3f}" if column == "loss" else "%{y:.1%}",
    )
    drawn.add_trace(trace)
