"""What each layer alone loses: a row a layer, a column a value, the accuracy written in every cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.questions.sensitivity import Row
from core.text.escaping import UserText
from dashboard.charts import style

COLUMNS = ["layer", "value", "accuracy", "lost"]
TALL = 24  # pixels a layer


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` names layer, value and accuracy in plotly's places."""

    x: str
    hover: str


def info(rows: Iterable[Row]) -> pd.DataFrame:
    """A row a layer and value, in the network's order: the accuracy, and what is lost against the layer as it was."""
    found = [(row.layer, row.value, row.validation_accuracy) for row in rows]
    table = pd.DataFrame(found, columns=COLUMNS[:3])
    whole = table.groupby("layer")["accuracy"].transform("first") if len(table) else table["accuracy"]
    return table.assign(lost=whole - table["accuracy"])


def weakest(table: pd.DataFrame) -> str:
    """The layer that loses most; empty where nothing was measured."""
    return str(table["layer"].iloc[int(table["lost"].to_numpy().argmax())]) if len(table) else ""


def figure(table: pd.DataFrame, labels: Labels, *, dark: bool = False) -> go.Figure:
    """The shallowest layer on top; the more is lost, the stronger the colour, and each cell says its accuracy."""
    layers = [str(layer) for layer in table["layer"].unique()]
    values = [float(value) for value in table["value"].unique()]
    lost, accuracy = (
        table.pivot(index="layer", columns="value", values=column).reindex(index=layers, columns=values)
        for column in ("lost", "accuracy")
    )
    drawn = go.Figure(
        go.Heatmap(
            z=lost.to_numpy().tolist(),
            x=[f"{value:g}" for value in values],
            y=[UserText(layer).plot() for layer in layers],
            text=[[f"{100 * share:.1f}" for share in row] for row in accuracy.to_numpy()],
            texttemplate="%{text}",
            hovertemplate=labels.hover,
            colorscale=[[0, style.look(dark).paper], [1, style.look(dark).stages["quantize"]]],
            zmin=0,
            zmax=max(0.1, float(table["lost"].max()) if len(table) else 0.1),
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    drawn.update_layout(
        style.layout(
            dark,
            height=96 + TALL * max(len(layers), 4),
            xaxis=style.axis(dark, labels.x, type="category"),
            yaxis=style.axis(dark, "", type="category", autorange="reversed"),
        )
    )
    return drawn
