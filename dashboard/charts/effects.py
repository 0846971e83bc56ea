"""What a knob does, drawn on a small real network: soft labels at a temperature, the channels that a ratio removes, the
levels that a number of bits leaves. NumPy alone; sources as in the methods themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.text.escaping import UserText
from dashboard.charts import style

HEIGHT = 320
Vector = NDArray[np.float64]


def softened(logits: Vector, temperature: float) -> Vector:
    """Probabilities [C] of logits [C] at a temperature above zero (Hinton 2015, arXiv:1503.02531)."""
    scaled = logits / temperature
    powers: Vector = np.exp(scaled - scaled.max())
    shares: Vector = powers / powers.sum()
    return shares


def standardised(logits: Vector) -> Vector:
    """Logits [C] less their mean, in units of their (unbiased) deviation (Sun 2024, arXiv:2403.01427)."""
    found: Vector = (logits - logits.mean()) / logits.std(ddof=1)
    return found


def rounded(weights: Vector, bits: int) -> Vector:
    """Weights of one filter on the symmetric levels −(2^(b−1)−1) … 2^(b−1)−1, the largest being the last level."""
    top = 2 ** (bits - 1) - 1
    scale = float(np.abs(weights).max()) / top or 1.0
    levels: Vector = np.clip(np.round(weights / scale), -top, top) * scale
    return levels


def kept(scores: Vector, ratio: float) -> NDArray[np.bool_]:
    """Which channels stay where a share is removed, those with the lowest scores first."""
    stay = math.floor(len(scores) * (1 - ratio) + 1e-9)
    order = np.argsort(-scores, kind="stable")
    found = np.zeros(len(scores), bool)
    found[order[:stay]] = True
    return found


# soft labels


def soft_table(logits: Vector, classes: Sequence[str], temperature: float) -> pd.DataFrame:
    """A row a class: its probability as the teacher answers, and softened."""
    return pd.DataFrame(
        {"class": list(classes), "plain": softened(logits, 1.0), "softened": softened(logits, temperature)}
    )


def soft_figure(table: pd.DataFrame, plain: str, soft: str, *, dark: bool = False) -> go.Figure:
    """Bars of the softened labels, and the teacher's own answer as an outline; `plain` and `soft` name them."""
    theme = style.look(dark)
    names = [UserText(name).plot() for name in table["class"]]
    drawn = go.Figure()
    drawn.add_bar(
        x=names,
        y=table["softened"].tolist(),
        name=soft,
        marker={"color": theme.stages["distill"]},
        hovertemplate="%{x}: %{y:.1%}",
    )
    drawn.add_bar(
        x=names,
        y=table["plain"].tolist(),
        name=plain,
        hovertemplate="%{x}: %{y:.1%}",
        marker={"color": "rgba(0,0,0,0)", "line": {"color": theme.ink, "width": 1.5}},
    )
    axes = {
        "xaxis": style.axis(dark, "", type="category"),
        "yaxis": style.axis(dark, "", tickformat=".0%", range=[0, 1.02]),
    }
    drawn.update_layout(style.layout(dark, height=HEIGHT, barmode="overlay", showlegend=True, **axes))
    return drawn


# the channels that go


def rank_table(scores: Vector, ratio: float) -> pd.DataFrame:
    """A row a channel: its score, and whether it stays."""
    return pd.DataFrame({"channel": np.arange(len(scores)), "score": scores, "stays": kept(scores, ratio)})


@dataclass(frozen=True)
class Fate:
    """The words for channels that stay and that go, and of the two axes."""

    stays: str
    goes: str
    x: str
    y: str


def rank_figure(table: pd.DataFrame, words: Fate, *, dark: bool = False) -> go.Figure:
    """A bar a channel in the network's order; those that go are outlines."""
    theme, drawn = style.look(dark), go.Figure()
    for stays, name in ((True, words.stays), (False, words.goes)):
        rows = table[table["stays"] == stays]
        fill = theme.stages["prune"] if stays else "rgba(0,0,0,0)"
        drawn.add_bar(
            x=rows["channel"].tolist(),
            y=rows["score"].tolist(),
            name=name,
            hovertemplate="%{x}: %{y:.3g}",
            marker={"color": fill, "line": {"color": theme.quiet, "width": 1}},
        )
    axes = {"xaxis": style.axis(dark, words.x), "yaxis": style.axis(dark, words.y)}
    drawn.update_layout(style.layout(dark, height=HEIGHT, barmode="overlay", showlegend=True, **axes))
    return drawn


# the levels


def level_table(weights: Vector, bits: int) -> pd.DataFrame:
    """A row a weight: as trained, and rounded."""
    return pd.DataFrame({"weight": weights, "rounded": rounded(weights, bits)})


def level_figure(table: pd.DataFrame, x: str, y: str, *, dark: bool = False) -> go.Figure:
    """Each weight against what becomes of it: a staircase, the finer the more bits; the line is no rounding."""
    theme = style.look(dark)
    ends = [float(table["weight"].min()), float(table["weight"].max())]
    drawn = go.Figure()
    drawn.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": theme.quiet, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    drawn.add_scatter(
        x=table["weight"].tolist(),
        y=table["rounded"].tolist(),
        mode="markers",
        marker={"symbol": style.symbol("quantize"), "color": theme.stages["quantize"], "size": 7},
        hovertemplate="%{x:.4f} → %{y:.4f}",
    )
    axes = {"xaxis": style.axis(dark, x), "yaxis": style.axis(dark, y)}
    drawn.update_layout(style.layout(dark, height=HEIGHT, showlegend=False, hovermode="closest", **axes))
    return drawn
