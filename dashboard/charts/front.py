"""Accuracy against cost over all runs, with the Pareto front. The front is chosen on validation, whatever is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.charts import chance, style, ticks
from dashboard.charts.bounds import Bounds, feasible, usable
from dashboard.charts.chance import Level
from dashboard.charts.comparison import CONDITIONS
from dashboard.charts.hover import PLAIN, Spread, texts
from dashboard.charts.points import SPREAD
from dashboard.charts.run_points import diameters

COSTS = ("bytes", "p50", "params", "macs")  # columns of the points; less is better
INTERVALS = {"accuracy": ("low", "high"), "on_target": ("target_low", "target_high")}  # columns of a quality's ends
MEASURED_THERE = ("p50",)  # costs that hold for one kind of machine
QUALITIES = ("validation", *INTERVALS, *SPREAD)
AREAS = ("p50", "bytes")
MOST_SVG = 2000  # marks; above, WebGL draws them
CROWD = 300  # marks; above, they are drawn smaller and only the front and what is picked keep their whiskers
DIMMED, UNFIT = 0.35, 0.12  # opacity of what is dominated, of what breaks a bound
HEIGHT = 520
BAND = 7  # pixels: the whisker of several seeds


@dataclass(frozen=True)
class Axes:
    """What is drawn against what: columns of the points. `area` is what a mark's area stands for."""

    x: str = "bytes"
    y: str = "validation"
    log: bool = True
    area: str = "p50"


@dataclass(frozen=True)
class Shown:
    """What a person picked: ids of points, the pinned one, whether every run's path is drawn, their bounds."""

    selected: tuple[str, ...] = ()
    baseline: str = ""
    paths: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    settings: Mapping[str, str] = field(default_factory=dict)  # changed settings by point id, ready for hover
    chance: Sequence[Level] = ()


@dataclass(frozen=True)
class Labels:
    """The words of this chart; `hover` has the places of `hover.texts`, `control` one for the stage."""

    x: str
    y: str
    front: str
    baseline: str
    control: str
    sample: str
    hover: str
    stages: Mapping[str, str]
    chance: str = " (not proven better than chance)"
    interval: str = "95 % interval"
    seeds: str = "mean ± deviation over seeds"
    spread: Spread = PLAIN


def on_front(cost: pd.Series[float], quality: pd.Series[float]) -> pd.Series[bool]:
    """Which points no other one beats: none costs at most as much and is at least as good, and better in one of both.

    Equal points are on the front together or not at all; a point that lacks a figure is never on it.
    """
    known = pd.DataFrame({"cost": cost, "quality": quality}).dropna()
    best = known.groupby("cost")["quality"].max()  # by ascending cost
    leading = best[best > best.cummax().shift(fill_value=float("-inf"))]
    return (known["quality"] == known["cost"].map(leading)).reindex(cost.index, fill_value=False)


def info(points: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """The points that have both figures, with `front` (on validation; controls and what is at chance are
    never on it) and `diameter`. Of latencies each kind of machine has a front of its own."""
    known = points.dropna(subset=[axes.x, axes.y])
    chain = known[usable(known)]
    front = pd.Series(False, index=known.index)
    for _, some in alike(chain, axes):
        front.loc[some.index] = on_front(some[axes.x], some["validation"])
    wide = diameters(known[axes.area])
    size = pd.Series(wide, index=known.index, dtype=float) * (1 if len(known) <= CROWD else 0.5)
    return known.assign(front=front.astype(bool), diameter=size)


def alike(points: pd.DataFrame, axes: Axes) -> Iterator[tuple[str, pd.DataFrame]]:
    """The points whose costs may be ranked against each other: all, or of latencies those measured under the same
    conditions."""
    if axes.x not in MEASURED_THERE or points.empty:
        yield "", points
        return
    yield from ((str(name), some) for name, some in points.groupby(list(CONDITIONS), sort=True))


def figure(table: pd.DataFrame, axes: Axes, labels: Labels, shown: Shown, *, dark: bool = False) -> go.Figure:
    """The chart of an `info`: one trace a stage and role, paths, whiskers and front below, rings around the picked."""
    theme = style.look(dark)
    picked = table["id"].isin({*shown.selected, shown.baseline})
    brush = _Brush(axes, theme, shown, labels)
    drawn = go.Figure()
    drawn.add_trace(brush.lines(_paths(table, axes, table["run"].isin(table["run"][picked])), "path", shown.paths))
    if axes.y in INTERVALS:
        whiskers = table if len(table) <= CROWD else table[table["front"] | picked]
        drawn.add_traces(brush.whiskers(whiskers))
    drawn.add_trace(brush.front(table[table["front"]]))
    drawn.add_traces(brush.marks(table, picked))
    drawn.add_traces(brush.rings(table))
    drawn.update_layout(
        style.layout(
            dark,
            height=HEIGHT,
            hovermode="closest",
            shapes=[*_shade(table, axes, shown.bounds, theme), *chance.lines(shown.chance, dark)],
            selectionrevision=",".join(shown.selected),  # a frame drawn on the chart goes once it was taken over
        )
    )
    drawn.update_layout(legend={"itemsizing": "constant"}, margin={"t": 64})  # the tools above the legend
    place = f"{axes.x}/{axes.y}/{axes.log}"  # zoom is kept until the axes mean something else
    drawn.update_xaxes(style.axis(dark, labels.x, uirevision=place, **_ticks(table, axes)))
    ends = INTERVALS.get(axes.y, ())
    visible = chance.span(table[[axes.y, *ends]].to_numpy().ravel(), shown.chance)
    drawn.update_yaxes(style.axis(dark, labels.y, uirevision=place, tickformat=".1~%", range=visible))
    drawn.update_layout(annotations=chance.notes(shown.chance, visible, dark))
    return drawn


def _paths(table: pd.DataFrame, axes: Axes, of_picked: pd.Series[bool]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The steps of every run in their order, and those of the runs of picked points only."""
    chain = table[~table["control"]]
    return chain, chain[of_picked.reindex(chain.index)]


def _ticks(table: pd.DataFrame, axes: Axes) -> dict[str, Any]:
    unit = "B" if axes.x == "bytes" else ""
    if axes.log:
        return ticks.logarithmic(table[axes.x], unit)
    return {"type": "linear", "exponentformat": "SI", "minexponent": 3, "ticksuffix": unit}


def _shade(table: pd.DataFrame, axes: Axes, bounds: Bounds, theme: style.Look) -> list[dict[str, Any]]:
    """The part of the plane within the bounds, as far as the axes show them; it ends where the points do."""
    right = {"bytes": bounds.bytes, "p50": bounds.p50}.get(axes.x)
    low = bounds.validation if axes.y == "validation" else None
    if table.empty or (right is None and low is None):
        return []
    least, most, bottom, top = (*_ends(table[axes.x], axes.log), *_ends(table[axes.y], False))
    box = {
        "x0": least,
        "x1": most if right is None else max(right, least),
        "y0": bottom if low is None else min(low, top),
        "y1": top,
    }
    look = {"fillcolor": theme.stages["prune"], "opacity": 0.1, "line": {"width": 0}, "layer": "below"}
    return [{"type": "rect", **box, **look}]


def _ends(values: pd.Series[float], log: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = (high - low) * 0.05 or abs(high) * 0.05
    return (low / 1.15, high * 1.15) if log else (low - room, high + room)


@dataclass(frozen=True)
class _Brush:
    """Draws tables of points as traces in one look."""

    axes: Axes
    theme: style.Look
    shown: Shown
    labels: Labels

    def lines(self, paths: tuple[pd.DataFrame, pd.DataFrame], name: str, every: bool) -> go.Scatter:
        """A thin line through the steps of each run, one trace in all."""
        chain = paths[0] if every else paths[1]
        x, y = _joined(chain, self.axes)
        line = {"color": self.theme.quiet, "width": 1}
        return go.Scatter(x=x, y=y, mode="lines", line=line, opacity=0.55, hoverinfo="skip", showlegend=False, uid=name)

    def whiskers(self, table: pd.DataFrame) -> list[go.Scatter]:
        """Thin lines for 95 % intervals; broad bands for one deviation over several seeds, which is no interval. Those
        of dominated points are fainter."""
        low, high = INTERVALS[self.axes.y]
        whole = table.dropna(subset=[low, high])
        several = whole["seeds"].notna()
        found = []
        for kind, some in (("interval", whole[~several]), ("seeds", whole[several])):
            for front, faint in ((True, 1.0), (False, 0.3)):
                found.append(self._whisker(some[some["front"] == front], kind, f"{kind}/{front}", faint))
            if len(some):
                found.append(self._whisker(some.head(0), kind, f"{kind}/key", 1.0))
        return found

    def _whisker(self, some: pd.DataFrame, kind: str, name: str, faint: float) -> go.Scatter:
        """One trace of lines from end to end; without points it is the legend's."""
        low, high = INTERVALS[self.axes.y]
        band = kind == "seeds"
        return go.Scatter(
            x=[v for cost in some[self.axes.x] for v in (cost, cost, None)] or [None],
            y=[v for ends in zip(some[low], some[high], strict=True) for v in (*ends, None)] or [None],
            mode="lines",
            name=self.labels.seeds if band else self.labels.interval,
            line={"color": self.theme.quiet, "width": BAND if band else 1},
            opacity=faint * (0.4 if band else 1.0),
            hoverinfo="skip",
            showlegend=name.endswith("/key"),
            uid=f"whiskers/{name}",
        )

    def front(self, table: pd.DataFrame) -> go.Scatter:
        """A step line: up to a point's cost, nothing better than the point before it was found; one for each kind of
        machine where costs are latencies."""
        x: list[float | None] = []
        y: list[float | None] = []
        for _, some in alike(table, self.axes):
            along = some.sort_values([self.axes.x, self.axes.y])
            x += [*([None] if x else []), *along[self.axes.x]]
            y += [*([None] if y else []), *along[self.axes.y]]
        return go.Scatter(
            x=x,
            y=y,
            mode="lines",
            name=self.labels.front,
            line={"color": self.theme.ink, "width": 1.5, "shape": "hv"},
            hoverinfo="skip",
            uid="front",
        )

    def marks(self, table: pd.DataFrame, picked: pd.Series[bool]) -> list[go.Scatter | go.Scattergl]:
        """One trace for each stage and role; WebGL draws them when there are many."""
        kind = go.Scatter if len(table) <= MOST_SVG else go.Scattergl
        fits = feasible(table, self.shown.bounds)
        strong = (table["front"] | picked).map({True: 1.0, False: DIMMED}).where(fits | picked, UNFIT)
        words = self.labels
        told = texts(table, words.hover, words.sample, self.shown.settings, words.chance, words.spread)
        known = table.assign(strong=strong, told=told)
        found = []
        for stage in style.SYMBOLS:
            for control in (False, True):
                some = known[(known["stage"] == stage) & (known["control"] == control)]
                if len(some):
                    found += [self._trace(kind, some, stage, control), self._key(stage, control)]
        return found

    def _key(self, stage: str, control: bool) -> go.Scatter:
        """The legend's mark: that of the trace itself would be as faint as its first point."""
        color, name = self.theme.stages[stage], self.labels.stages.get(stage, stage)
        return go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=self.labels.control.format(stage=name) if control else name,
            legendgroup=f"{stage}/{control}",
            marker={"symbol": style.symbol(stage, control=control), "size": 10, "color": color},
            uid=f"key/{stage}/{control}",
        )

    def _trace(self, kind: Any, some: pd.DataFrame, stage: str, control: bool) -> go.Scatter | go.Scattergl:
        color = self.theme.stages[stage]
        edge = {"color": color if control else self.theme.paper, "width": 2 if control else 1}
        return kind(
            x=some[self.axes.x].to_numpy(),
            y=some[self.axes.y].to_numpy(),
            mode="markers",
            legendgroup=f"{stage}/{control}",
            showlegend=False,
            customdata=some[["id", "told"]].to_numpy(),
            hovertemplate="%{customdata[1]}<extra></extra>",
            marker={
                "symbol": style.symbol(stage, control=control),
                "size": some["diameter"].to_numpy(),
                "color": color,
                "opacity": some["strong"].to_numpy(),
                "line": edge,
            },
            uid=f"{stage}/{control}",
        )

    def rings(self, table: pd.DataFrame) -> list[go.Scatter]:
        """A ring around each picked point, and the baseline's with its word."""
        found = []
        for name, ids in (("selected", self.shown.selected), ("baseline", (self.shown.baseline,))):
            some = table[table["id"].isin(ids)]
            told = name == "baseline"
            found.append(
                go.Scatter(
                    x=some[self.axes.x].tolist(),
                    y=some[self.axes.y].tolist(),
                    mode="markers+text" if told else "markers",
                    text=[self.labels.baseline] * len(some) if told else None,
                    textposition="top center",
                    textfont={"color": self.theme.ink},
                    marker={
                        "symbol": "circle-open",
                        "size": (some["diameter"] + (16 if told else 9)).tolist(),
                        "color": self.theme.ink,
                        "line": {"width": 1 if told else 2},
                    },
                    hoverinfo="skip",
                    showlegend=False,
                    uid=name,
                )
            )
        return found


def _joined(chain: pd.DataFrame, axes: Axes) -> tuple[list[float | None], list[float | None]]:
    x: list[float | None] = []
    y: list[float | None] = []
    ordered = chain.sort_values(["run", "step"])
    before = ""
    for run, cost, quality in zip(ordered["run"], ordered[axes.x], ordered[axes.y], strict=True):
        if before and run != before:
            x.append(None)
            y.append(None)
        x.append(cost)
        y.append(quality)
        before = run
    return x, y
