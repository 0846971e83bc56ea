"""The steps of a run in a row: which are done and how long each took, which goes on, which is to come; and the time
that is left of the whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from core.recipe import Recipe
from core.state import RunState, Status
from core.text import formatting
from dashboard.charts.style import MARKS
from dashboard.components import TEXT_COLORS
from dashboard.i18n import say

Standing = Literal["done", "now", "next", "stopped"]
CONTROLS = ("twin", "scratch", "source_only")  # knobs that ask for a control
TICKS: dict[Standing, str] = {"done": "✓", "now": "…", "next": "", "stopped": "✗"}


@dataclass(frozen=True)
class Link:
    """One step, or all controls together; `seconds` None where it has not begun or its time is not known."""

    stage: str
    standing: Standing
    seconds: float | None = None
    reused: bool = False


def draw(state: RunState, recipe: Recipe | None, left: float | None) -> None:
    """One line of text, and the time left under it."""
    links = list(chain(state, recipe, time.time()))
    st.markdown(" → ".join(map(words, links)), width="stretch")
    st.progress(share(state, len(links), left), text=remaining(state, left))


def remaining(state: RunState, left: float | None) -> str:
    """How long still, and since when; how long it took once it is over."""
    spent, _ = state.durations(time.time())
    worked = formatting.duration(spent)
    if state.status.is_over:
        return say("stepper.took", time=worked)
    if state.status is not Status.RUNNING or state.started is None:
        return say("stepper.waits")
    if left is None:
        return say("stepper.unknown", spent=worked)
    return say("stepper.left", time=formatting.duration(left), spent=worked)


def words(link: Link) -> str:
    """Mark, name, tick and seconds; what goes on is bold, what is to come grey."""
    mark = f":{TEXT_COLORS.get(link.stage, 'gray')}[{MARKS.get(link.stage, '○')}]"
    name = say(f"stepper.{link.stage}")
    time_ = [] if link.seconds is None else [formatting.duration(link.seconds)]
    told = " ".join([name, *filter(None, [TICKS[link.standing]]), *time_])
    told += f" {say('stepper.reused')}" if link.reused else ""
    if link.standing == "next":
        return f"{mark} :gray[{told}]"
    return f"{mark} **{told}**" if link.standing == "now" else f"{mark} {told}"


def chain(state: RunState, recipe: Recipe | None, now: float) -> Iterator[Link]:
    """The steps of the recipe in turn, then its controls, if it has any."""
    begun = {step.step: step for step in state.steps}
    stages = [step.stage for step in recipe.steps] if recipe else [step.stage for step in state.steps]
    told = state.last_progress
    beside = (told is not None and bool(told.control)) or any(p.control for s in state.steps for p in s.curve)
    for number, stage in enumerate(stages):
        step = begun.get(number)
        if step is None:
            yield Link(stage, "next")
        elif step.seconds is not None:
            yield Link(stage, "done", step.seconds, bool(step.reused))
        elif state.status.is_over:
            yield Link(stage, "stopped")
        else:
            yield Link(stage, "now", max(now - step.started, 0.0) if state.status is Status.RUNNING else None)
    if expected(recipe) or beside or state.controls:
        yield _controls(state, expected(recipe), now)


def _controls(state: RunState, count: int, now: float) -> Link:
    times = [p.time for s in state.steps for p in s.curve if p.control]
    ended = [m.time for m in state.measured if m.role == "control"]
    if ended and len({(m.point.step, m.point.name) for m in state.measured if m.role == "control"}) >= count:
        return Link("control", "done", max(ended) - min(times) if times else None)
    if times and not state.status.is_over:  # perhaps beside a step
        return Link("control", "now", now - min(times) if state.status is Status.RUNNING else None)
    return Link("control", "stopped" if state.status.is_over else "next")


def expected(recipe: Recipe | None) -> int:
    """How many controls the recipe asks for."""
    steps = recipe.resolved().steps if recipe else ()
    return sum(bool(step.options.get(name)) for step in steps for name in CONTROLS)


def share(state: RunState, links: int, left: float | None) -> float:
    """How much is done, 0 to 1: of the time where it can be told, else of the steps, each counting as one."""
    if state.status is Status.FINISHED:
        return 1.0
    spent, _ = state.durations(time.time())
    if left is not None and spent + left:
        return min(max(spent / (spent + left), 0.0), 1.0)
    done = sum(step.seconds is not None for step in state.steps)
    return min((done + _within(state)) / max(links, 1), 1.0)


# where each kind of work begins in a step, and how much of it it is: writing and measuring move the bar too
PARTS = {
    "downloading": (0.0, 0.05),
    "features": (0.05, 0.3),
    "teacher": (0.05, 0.1),
    "calibrating": (0.05, 0.4),
    "training": (0.2, 0.5),
    "exporting": (0.7, 0.05),
    "measuring": (0.75, 0.25),
}


def _within(state: RunState) -> float:
    """How far the work that goes on is, 0 to 1 of a step."""
    told = state.last_progress
    if told is None or (not told.control and any(s.step == told.step and s.seconds is not None for s in state.steps)):
        return 0.0
    start, part = PARTS[told.what]
    inside = (told.epoch + (told.batch / told.batches if told.batches else 0.0)) / max(told.epochs, 1)
    return start + part * min(inside, 1.0)
