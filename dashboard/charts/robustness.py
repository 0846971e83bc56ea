"""How accuracy falls with the severity of corruptions: a curve a point, the mean over the corruptions of a kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.questions.corruptions import CORRUPTIONS, KINDS
from core.questions.robustness import Corrupted
from core.statistics.intervals import wilson
from core.text.escaping import UserText
from dashboard.charts import style

COLUMNS = ["point", "corruption", "severity", "right", "images", "accuracy"]
HEIGHT = 420
ALL = "all"
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` has plotly's places for severity, accuracy and the interval's text."""

    x: str
    y: str
    hover: str


def info(rows: Iterable[Corrupted], names: Mapping[str, str], images: int) -> pd.DataFrame:
    """A row a point, corruption and severity; `names` says what a point is called, severity 0 is without any."""
    found = [
        (names[row.point], row.corruption, row.severity, row.right, images, row.right / max(images, 1)) for row in rows
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def curves(table: pd.DataFrame, which: str = ALL) -> pd.DataFrame:
    """Mean accuracy by point and severity over the corruptions of a kind, of one, or of all, as far as every point has
    been measured; with the 95 % interval that as many answers as images allow."""
    clean = table[table["severity"] == 0]
    wanted = [name for name in CORRUPTIONS if which in (ALL, name, KIND_OF[name])]
    some = pd.concat([clean, table[table["corruption"].isin(wanted)]])
    points = list(dict.fromkeys(table["point"]))
    whole = some.groupby(["corruption", "severity"])["point"].transform("nunique") == len(points)
    means = (
        some[whole]
        .groupby(["point", "severity"], sort=False, as_index=False)
        .agg(accuracy=("accuracy", "mean"), images=("images", "first"), corruptions=("corruption", "nunique"))
    )
    ends = [wilson(share, int(count)) for share, count in zip(means["accuracy"], means["images"], strict=True)]
    found = means.assign(low=[low for low, _ in ends], high=[high for _, high in ends])
    return found.sort_values("severity", kind="stable").reset_index(drop=True)


def lost(table: pd.DataFrame) -> pd.Series[float]:
    """By point, the mean accuracy over all corruptions and severities less that without any."""
    means = table[table["severity"] > 0].groupby("point", sort=False)["accuracy"].mean()
    clean = table[table["severity"] == 0].set_index("point")["accuracy"]
    found: pd.Series[float] = means - clean
    return found


def figure(found: pd.DataFrame, stages: Mapping[str, str], labels: Labels, *, dark: bool = False) -> go.Figure:
    """The curves of `curves`, each in the colour of its stage (`stages`), with whiskers; the second one dashed."""
    theme = style.look(dark)
    drawn = go.Figure()
    for place, (name, stage) in enumerate(stages.items()):
        some = found[found["point"] == name]
        color = theme.stages.get(stage, theme.quiet)
        drawn.add_trace(
            go.Scatter(
                x=some["severity"].tolist(),
                y=some["accuracy"].tolist(),
                mode="lines+markers",
                name=UserText(name).plot(),
                line={"color": color, "width": 2, "dash": "dash" if place else "solid"},
                marker={"symbol": style.symbol(stage, control=place > 0), "size": 9, "color": color},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": (some["high"] - some["accuracy"]).tolist(),
                    "arrayminus": (some["accuracy"] - some["low"]).tolist(),
                    "thickness": 1,
                    "width": 3,
                    "color": theme.quiet,
                },
                customdata=[
                    [f"{100 * low:.1f}–{100 * high:.1f} %"] for low, high in zip(some["low"], some["high"], strict=True)
                ],
                hovertemplate=labels.hover,
                uid=f"curve/{place}",
            )
        )
    drawn.update_layout(
        style.layout(
            dark,
            height=HEIGHT,
            xaxis=style.axis(dark, labels.x, tickvals=list(range(6)), range=[-0.2, 5.2]),
            yaxis=style.axis(dark, labels.y, tickformat=".0%", range=[0, 1.02]),
        )
    )
    return drawn
