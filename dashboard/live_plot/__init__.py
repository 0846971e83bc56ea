"""A chart that is updated in place: `st.plotly_chart` makes a new one whenever a number changes, and zoom is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import plotly.graph_objects as go
import streamlit as st

from dashboard.i18n import say
from dashboard.session import language, widget

HERE = Path(__file__).parent
PHRASES = {"Zoom": "zoom", "Pan": "pan", "Box Select": "box", "Lasso Select": "lasso", "Reset axes": "reset"}
HTML = '<div class="live-plot" role="group" tabindex="0"></div><p class="live-plot-told"></p>'
Document = dict[str, Any]  # a figure in Plotly's JSON
SENTENCE = re.compile(r"(?<=\.)\s+|(?<=。)")  # where one ends: not at a decimal point


@dataclass(frozen=True)
class Picked:
    """Points a person clicked (`toggle`) or drew a frame around (`replace`), by the first of their customdata."""

    ids: tuple[str, ...]
    how: Literal["toggle", "replace"]


def document(figure: go.Figure) -> Document:
    """The figure as it is sent to the browser; whoever shows the same one again keeps it."""
    found: Document = json.loads(figure.to_json() or "{}")
    return found


def live_plot(
    figure: go.Figure | Document,
    *,
    key: str,
    alt: str,
    file: str = "chart",
    newest: float | None = None,
    on_pick: Callable[[Picked], None] | None = None,
) -> None:
    """Draws `figure`, whose layout says its height in pixels; the node on the page stays as long as `key` does.

    `alt` says in words what is to be seen: its first sentence names the chart, all of it describes it. `file` names the
    PNG and the SVG that the chart's own buttons write; `newest` is the time of the newest event shown. `on_pick` is
    called, before the script runs again, when points are picked.
    """

    def picked() -> None:
        found = getattr(widget(key, None), "picked", None)
        if on_pick is not None and isinstance(found, dict):
            how: Literal["toggle", "replace"] = "replace" if found.get("how") == "replace" else "toggle"
            on_pick(Picked(tuple(str(name) for name in found.get("ids", ())), how))

    drawing = {
        "figure": figure if isinstance(figure, dict) else document(figure),
        "alt": alt,
        "name": SENTENCE.split(alt, maxsplit=1)[0],
        "file": file,
        "newest": newest,
        "selectable": on_pick is not None,
        "language": language(),
        "words": {theirs: say(f"live_plot.{ours}") for theirs, ours in PHRASES.items()},
        "without_webgl": say("live_plot.without_webgl"),
        "pictures": {form: say(f"live_plot.{form}") for form in ("png", "svg")},
    }
    _component()(key=key, data=drawing, on_picked_change=picked)


def _component() -> Any:
    name = "live_plot"
    return st.components.v2.component(name, html=HTML, css=_css(), js=_js(), isolate_styles=False)


@cache
def _js() -> str:
    return (HERE / "live_plot.js").read_text(encoding="utf-8").replace('${"VERSION"}', version("plotly"))


@cache
def _css() -> str:
    return (HERE / "live_plot.css").read_text(encoding="utf-8")
