"""What a search tried: its history, what it found for how many bytes, one knob against a figure, what matters, and a
sweep as a curve or a map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.options import Value
from core.search.answer import Answer, rank
from core.search.bounds import Bounds
from core.search.trial import Trial
from core.text.escaping import UserText
from dashboard.charts import style

HEIGHT = 320
TALL = 36  # pixels a bar
FEW = 8  # trials, each with its number on the axis
COLUMNS = ["trial", "accuracy", "bytes", "latency", "within", "best", "front"]
Told = Callable[[str, Value], str]


@dataclass(frozen=True)
class Labels:
    """The words of these charts."""

    trial: str
    accuracy: str
    bytes: str
    within: str
    outside: str
    best: str
    front: str
    recommended: str
    share: str


def info(trials: Sequence[Trial], found: Answer, bounds: Bounds, teacher: float | None) -> pd.DataFrame:
    """A row a measured trial: accuracy as a share of 1 on validation, bytes, milliseconds, whether it meets the bounds,
    whether it was the best within them so far, whether it is on the front; and a column a knob, by its path."""
    rows, best = [], None
    leading = {trial.number for trial in found.front}
    for trial in trials:
        if not trial.is_measured:
            continue
        within = bounds.keeps(trial, teacher)
        ahead = within and (best is None or rank(trial, bounds) > rank(best, bounds))
        best = trial if ahead else best
        figures = (trial.number + 1, trial.accuracy, trial.bytes, trial.latency, within, ahead, trial.number in leading)
        rows.append({**dict(zip(COLUMNS, figures, strict=True)), **trial.values})
    return pd.DataFrame(rows, columns=[*COLUMNS, *dict.fromkeys(path for trial in trials for path in trial.values)])


def history(table: pd.DataFrame, labels: Labels, *, dark: bool = False) -> go.Figure:
    """Accuracy by trial, what breaks a bound hollow, and the best so far as a line."""
    drawn = _marks(table, "trial", labels, dark)
    best = table[table["best"]]
    ends = [*best["trial"], *table["trial"].tail(1)], [*best["accuracy"], *best["accuracy"].tail(1)]
    drawn.add_scatter(
        x=ends[0] if len(best) else [],
        y=ends[1],
        mode="lines",
        name=labels.best,
        hoverinfo="skip",
        line={"shape": "hv", "color": style.look(dark).stages["prune"], "width": 2},
    )
    whole = {"tickvals": table["trial"].tolist()} if len(table) <= FEW else {}
    return _laid(drawn, labels.trial, labels.accuracy, dark, **whole)


def front(table: pd.DataFrame, best: int | None, labels: Labels, *, dark: bool = False) -> go.Figure:
    """Accuracy over bytes, those that no other beats joined, the recommended trial circled."""
    drawn = _marks(table, "bytes", labels, dark)
    leading = table[table["front"]].sort_values("bytes")
    drawn.add_scatter(
        x=leading["bytes"].tolist(),
        y=leading["accuracy"].tolist(),
        mode="lines",
        name=labels.front,
        hoverinfo="skip",
        line={"color": style.look(dark).quiet, "width": 1, "dash": "dot"},
    )
    chosen = table[table["trial"] == best]
    if len(chosen):
        drawn.add_scatter(
            x=chosen["bytes"].tolist(),
            y=chosen["accuracy"].tolist(),
            mode="markers",
            name=labels.recommended,
            marker={"symbol": "circle-open", "size": 18, "color": style.look(dark).ink, "line": {"width": 2}},
            hoverinfo="skip",
        )
    return _laid(drawn, labels.bytes, labels.accuracy, dark, tickformat="~s", ticksuffix="B")


def slice_(table: pd.DataFrame, path: str, title: str, labels: Labels, *, log: bool, dark: bool = False) -> go.Figure:
    """Accuracy against the values of one knob."""
    known = table.dropna(subset=[path])
    numbers = pd.api.types.is_numeric_dtype(known[path]) and not pd.api.types.is_bool_dtype(known[path])
    plain = known if numbers else known.assign(**{path: known[path].map(str)})
    more = {"type": "log"} if log else {} if numbers else {"type": "category"}
    return _laid(_marks(plain, path, labels, dark), UserText(title).plot(), labels.accuracy, dark, **more)


def importance(shares: Mapping[str, Mapping[str, float]], names: Mapping[str, str]) -> pd.DataFrame:
    """A row a knob, by its name, and a column a figure: the share of its spread that the knob explains."""
    paths = list(dict.fromkeys(path for each in shares.values() for path in each))
    rows = [{"knob": names.get(path, path), **{k: each.get(path, 0.0) for k, each in shares.items()}} for path in paths]
    return pd.DataFrame(rows)


def importance_figure(table: pd.DataFrame, words: Mapping[str, str], share: str, *, dark: bool = False) -> go.Figure:
    """A bar a knob and figure, the knob that matters most on top."""
    theme, drawn = style.look(dark), go.Figure()
    for figure, colour, pattern in (("accuracy", "transfer", ""), ("bytes", "quantize", "/")):
        if figure in table:
            drawn.add_bar(
                y=[UserText(name).plot() for name in table["knob"]],
                x=table[figure].tolist(),
                orientation="h",
                name=words[figure],
                marker={"color": theme.stages[colour], "pattern": {"shape": pattern}},
                hovertemplate="%{y}: %{x:.0%}",
            )
    axes = {
        "xaxis": style.axis(dark, share, tickformat=".0%", range=[0, 1.02]),
        "yaxis": style.axis(dark, "", autorange="reversed"),
    }
    height = 120 + TALL * max(len(table), 2)
    drawn.update_layout(style.layout(dark, height=height, barmode="group", showlegend=True, **axes))
    return drawn


# a sweep


def curve(table: pd.DataFrame, path: str, title: str, labels: Labels, *, log: bool, dark: bool = False) -> go.Figure:
    """Accuracy over one knob as a line."""
    ordered = table.sort_values(path) if pd.api.types.is_numeric_dtype(table[path]) else table
    drawn = slice_(ordered, path, title, labels, log=log, dark=dark)
    return drawn.update_traces(mode="lines+markers").update_layout(showlegend=False)


def heat(
    table: pd.DataFrame, paths: tuple[str, str], titles: tuple[str, str], told: Told, *, dark: bool = False
) -> go.Figure:
    """Accuracy over two knobs, written in every cell; what was not measured is empty."""
    x, y = paths
    grid = table.pivot_table(index=y, columns=x, values="accuracy", aggfunc="mean", sort=False)
    across, down = ([told(path, value) for value in axis] for path, axis in ((x, grid.columns), (y, grid.index)))
    shares = grid.to_numpy()
    drawn = go.Figure(
        go.Heatmap(
            z=shares.tolist(),
            x=[UserText(each).plot() for each in across],
            y=[UserText(each).plot() for each in down],
            text=[["" if share != share else f"{100 * share:.1f}" for share in row] for row in shares],
            texttemplate="%{text}",
            hovertemplate="%{x} · %{y}: %{text} %<extra></extra>",
            colorscale=[[0, style.look(dark).paper], [1, style.look(dark).stages["transfer"]]],
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    axes = {
        "xaxis": style.axis(dark, UserText(titles[0]).plot(), type="category"),
        "yaxis": style.axis(dark, UserText(titles[1]).plot(), type="category"),
    }
    drawn.update_layout(style.layout(dark, height=120 + TALL * max(len(down), 4), **axes))
    return drawn


# what they share


def _marks(table: pd.DataFrame, x: str, labels: Labels, dark: bool) -> go.Figure:
    """A mark a trial: full where it meets the bounds, hollow where it does not."""
    drawn = go.Figure()
    for within, name, symbol in ((True, labels.within, "circle"), (False, labels.outside, "circle-open")):
        rows = table[table["within"] == within]
        if len(rows):
            drawn.add_scatter(
                x=rows[x].tolist(),
                y=rows["accuracy"].tolist(),
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": 9, "color": style.look(dark).stages["transfer"]},
                customdata=rows["trial"].tolist(),
                hovertemplate=f"{labels.trial} %{{customdata}}: %{{y:.1%}}<extra></extra>",
            )
    return drawn


def _laid(drawn: go.Figure, x: str, y: str, dark: bool, **more: object) -> go.Figure:
    axes = {"xaxis": style.axis(dark, x, **more), "yaxis": style.axis(dark, y, tickformat=".3~p")}
    drawn.update_layout(style.layout(dark, height=HEIGHT, showlegend=True, hovermode="closest", **axes))
    return drawn
