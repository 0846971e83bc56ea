"""How a lesson puts a chart on the page; in the presenter's view in large type."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from dashboard import components
from dashboard.learn.lessons import presenting

LARGE, TALL = 20, 540  # pixels: type and height of a chart that a room looks at


def put(figure: go.Figure, table: pd.DataFrame, name: str, alt: str) -> None:
    """The chart and its numbers."""
    if presenting():
        figure.update_layout(font={"size": LARGE}, height=TALL, hoverlabel={"font": {"size": LARGE}})
        figure.update_annotations(font={"size": LARGE})
        figure.update_traces(textfont={"size": LARGE}, selector={"mode": "markers+text"})
    components.chart(figure, table, key=f"learn_{name}", alt=alt, file=f"lesson-{name}")
