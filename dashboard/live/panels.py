"""The two charts of the Live page: learning curves, a panel per step, and the points so far. They are built again only
when their data change: the page reruns each second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core.catalog import STAGES
from core.recipe import Recipe
from core.runs import Run
from core.state import RunState
from core.text.escaping import UserText
from dashboard import chance, components, machines, terms
from dashboard.charts import curves, run_points
from dashboard.charts.chance import Level
from dashboard.i18n import aside, control_name, headed, named, say, template, together
from dashboard.live import parent
from dashboard.live.kept import kept
from dashboard.live.parent import Parent
from dashboard.live_plot import Document, document
from dashboard.session import dark, recall, remember, widget, workspace

SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Panel:
    """A chart as sent to the browser, its data, its description, and the caption about an earlier run."""

    drawing: Document
    table: pd.DataFrame
    alt: str
    earlier: str = ""


def draw_curves(run: Run, recipe: Recipe | None, state: RunState) -> None:
    """A panel a step, smoothed as the person likes; the raw lines stay underneath."""
    training = widget("curves_training", False)
    strokes = say("live.strokes_training" if training else "live.strokes")
    st.markdown(f"**{say('live.curves')}** :small[{strokes}]", help=terms.of_words("live.curves"))
    if state.status.is_over and not any(step.curve for step in state.steps):
        st.caption(without_curves(state))
        return
    look = _Look(training, recall("smoothing", 0.0), dark())
    before = parent.of(run, recipe)
    shown, newest = extent(state, everything=training or widget("curves_shown", False))
    depends = (run.id, look, before, shown, state.chance)
    made = kept("curves", depends, lambda: _curves(state, before, look))
    components.chart(made.drawing, made.table, key="curves", alt=made.alt, file="curves", newest=newest, extra=drawing)
    if made.earlier:
        st.caption(made.earlier)


def without_curves(state: RunState) -> str:
    """Why a run that is over has nothing to draw."""
    reused = sum(step.reused is not None for step in state.steps)
    if reused == len(state.steps) > 0:
        return say("live.all_reused", count=reused)
    return say("live.no_curves")


@dataclass(frozen=True)
class _Look:
    """How a person wants the curves drawn."""

    training: bool
    smoothing: float
    dark: bool


def extent(state: RunState, *, everything: bool) -> tuple[tuple[tuple[int, str, int, float], ...], float | None]:
    """Number and newest time of each step's values, by which a changed chart is recognised; and the newest time of all.
    Values without a validation accuracy count only with `everything`."""
    found = []
    for step in state.steps:
        times = [told.time for told in step.curve if everything or told.validation_accuracy is not None]
        found.append((step.step, step.stage, len(times), max(times, default=0.0)))
    return tuple(found), max((newest for *_, newest in found), default=0.0) or None


def _curves(state: RunState, before: Parent | None, look: _Look) -> Panel:
    table = curves.info(state)
    names = {str(s.step): f"{s.step + 1} {say(f'status.{s.stage}')}" for s in state.steps}
    lines = {str(line): line_name(str(line), names) for line in table["line"].unique()}
    labels = curves.Labels(
        x=say("live.epoch"), accuracy=say("live.accuracy"), loss=say("live.loss"), lines=lines, steps=names
    )
    levels = _levels(state, of_test=False)
    earlier = curves.info(parent.state(str(workspace().path), before.run)) if before else None
    figure = curves.figure(
        table,
        labels,
        smoothing=look.smoothing,
        levels=levels,
        dark=look.dark,
        training=look.training,
        earlier=earlier,
    )
    last = table.dropna(subset=["validation_accuracy"]).tail(1)
    best = f"{100 * float(last['validation_accuracy'].iloc[0]):.1f} %" if len(last) else "–"
    alt = together([say("live.curves_alt", lines=len(lines), last=best), *(level.hint for level in levels)])
    return Panel(document(figure), table, alt, _behind(before, earlier))


def _behind(before: Parent | None, earlier: pd.DataFrame | None) -> str:
    if before is None or earlier is None or not earlier["validation_accuracy"].notna().any():
        return ""
    told = "live.made_from" if before.made_from else "live.earlier"
    return say(told, name=UserText(before.name).md(), count=before.differ)


def drawing() -> None:
    """How the curves are drawn."""
    st.toggle(say("live.training"), key="curves_training", help=say("live.training_help"))
    smoothing()


def line_name(line: str, names: dict[str, str]) -> str:
    """The step's name; of a control that and its own, of a further seed its number behind."""
    chain, _, seed = line.partition("#")
    step, _, control = chain.partition(":")
    name = names.get(step, step)
    name = headed(name, UserText(control_name(control)).plot()) if control else name
    return say("live.line_seed", name=name, seed=seed) if seed else name


def smoothing() -> None:
    """How much of each drawn value is its past."""
    before = recall("smoothing", 0.0)
    chosen = st.select_slider(
        say("live.smoothing"),
        SMOOTHINGS,
        value=before,
        key="smoothing_choice",
        width=180,
        help=say("live.smoothing_help"),
    )
    if chosen != before:
        remember("smoothing", chosen)
        st.rerun(scope="fragment")


def draw_landing(run: Run, state: RunState) -> None:
    """The points so far: accuracy against size, mark area as latency."""
    title = say("live.landed" if state.status.is_over else "live.landing")
    st.markdown(f"**{title}** :small[{say('live.marks')}]", help=terms.of_words("live.landing"))
    landed = tuple(told.seq for told in state.measured)
    where = frozenset(state.environment.items())
    made = kept("landing", (run.id, landed, where, state.chance, dark()), lambda: _landing(state))
    newest = max((told.time for told in state.measured), default=None)
    components.chart(made.drawing, made.table, key="landing", alt=made.alt, file="points", newest=newest)
    if unlike := machines.told_of("area", run_points.kinds(made.table)):
        st.caption(unlike)


def _landing(state: RunState) -> Panel:
    table = run_points.info(state)
    names = {p.name: named(p.stage, p.method, p.name) for p in (*state.points, *state.controls)}
    table["name"] = table["name"].map(names)
    labels = run_points.Labels(
        x=say("live.size"),
        y=say("live.test_accuracy"),
        stages={stage: say(f"status.{stage}") for stage in STAGES},
        control=template("components.control"),
        hover=template("live.hover"),
        chance=aside("", say("chance.badge")),
        kind=machines.told_one,
    )
    levels = _levels(state, of_test=True)
    figure = run_points.figure(table, labels, levels=levels, dark=dark())
    alt = together([say("live.landing_alt", points=len(table)), *(level.hint for level in levels)])
    return Panel(document(figure), table, alt)


def _levels(state: RunState, *, of_test: bool) -> list[Level]:
    luck: Any = state.chance
    return [chance.level(luck.test if of_test else luck.validation, luck)] if luck else []
