"""The one look of all charts: a colour AND a symbol for each stage, light and dark, written out so that no template of
Streamlit's or plotly's can change them. Colours: Okabe & Ito, https://jfly.uni-koeln.de/color/, lightened for dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

SYMBOLS = {"transfer": "circle", "distill": "diamond", "prune": "square", "quantize": "triangle-up"}
MARKS = {"transfer": "●", "distill": "◆", "prune": "■", "quantize": "▲", "export": "▷"}  # the same, in text
HOLLOW = "-open"
LIGHT = {"transfer": "#0072B2", "distill": "#E69F00", "prune": "#009E73", "quantize": "#D55E00"}
DARK = {"transfer": "#56B4E9", "distill": "#E69F00", "prune": "#2BC49A", "quantize": "#FF7F3F"}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', sans-serif"


@dataclass(frozen=True)
class Look:
    """The colours of one theme."""

    ink: str
    quiet: str  # of axes and words beside the point; contrast at least 4.5 on the page
    grid: str
    paper: str
    stages: dict[str, str]


DAY = Look("#0E1217", "#57606A", "#E3E6EA", "#FFFFFF", LIGHT)
NIGHT = Look("#E6EAF0", "#A3ADB8", "#303843", "#12161C", DARK)


def symbol(stage: str, *, control: bool = False) -> str:
    """Plotly's name of a stage's symbol; that of a control is hollow."""
    return SYMBOLS.get(stage, "circle") + (HOLLOW if control else "")


def look(dark: bool) -> Look:
    return NIGHT if dark else DAY


def layout(dark: bool, *, height: int, **more: Any) -> dict[str, Any]:
    """A plotly layout with everything stated; `more` is added over it."""
    theme = look(dark)
    base: dict[str, Any] = {
        "template": None,
        "height": height,
        "margin": {"l": 56, "r": 16, "t": 28, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": theme.ink},
        "hoverlabel": {
            "bgcolor": theme.paper,
            "bordercolor": theme.quiet,
            "font": {"family": FONT, "size": 13, "color": theme.ink},
            "align": "left",
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": theme.ink}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.quiet, "activecolor": theme.ink},
        "uirevision": "kept",  # zoom, selection and hidden traces survive new data
        "dragmode": "zoom",
    }
    return {**base, **more}


def standalone(figure: go.Figure, *, dark: bool, library: bool = True) -> str:
    """The chart as a part of a web page, about 5 MB with plotly.js inside: it opens anywhere, without a network. A
    further chart of the same page needs no `library`."""
    alone = go.Figure(figure).update_layout(paper_bgcolor=look(dark).paper, plot_bgcolor=look(dark).paper)
    return str(
        alone.to_html(include_plotlyjs=library, full_html=False, config={"displaylogo": False, "responsive": True})
    )


def axis(dark: bool, title: str, **more: Any) -> dict[str, Any]:
    """An axis with its title (which names the unit); `more` is added over it."""
    theme = look(dark)
    base: dict[str, Any] = {
        "title": {"text": title, "font": {"color": theme.quiet}, "standoff": 8},
        "color": theme.quiet,
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": theme.grid,
        "automargin": True,
    }
    return {**base, **more}
