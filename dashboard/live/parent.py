"""The earlier run that a run is a variant of, whose curve is drawn faintly behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from core.options import Value
from core.recipe import Recipe
from core.runs import Run
from core.state import RunState, Status
from dashboard.charts.comparison import RECIPE, Setting, changes, settings
from dashboard.session import workspace
from dashboard.tradeoffs.points_cache import recipe as recipe_of

LATEST = 20  # earlier runs that are looked at
FEW = 3  # settings that may differ
DATASET = Setting(RECIPE, "", "dataset")  # on another one the curves would not be comparable


@dataclass(frozen=True)
class Parent:
    """An earlier run, how many settings differ, and whether a person made the later one from it."""

    run: str
    name: str
    differ: int
    made_from: bool = False


def of(run: Run, recipe: Recipe | None) -> Parent | None:
    """The finished run on the same dataset that a person made this one from. Where the log names none, or it is gone:
    the one before it that differs in the fewest settings, from one to FEW, and of these the newest."""
    if recipe is None:
        return None
    return _of(str(workspace().path), run.id)


@st.cache_data(show_spinner=False, max_entries=64, ttl=30)
def _of(folder: str, run_id: str) -> Parent | None:
    mine = _settings(run_id)
    if mine is None:
        return None
    ids, stored = workspace().run_ids(), workspace().run(run_id).parent
    if stored in ids and (made_from := _compared(mine, stored)) is not None:
        return replace(made_from, made_from=True)
    near: Parent | None = None
    for each in reversed([each for each in ids if each < run_id][-LATEST:]):
        found = _compared(mine, each)
        if found is not None and 0 < found.differ <= FEW and (near is None or found.differ < near.differ):
            near = found
    return near


def _compared(mine: Mapping[Setting, Value], earlier: str) -> Parent | None:
    """An earlier run with finished curves on the same dataset."""
    theirs = _settings(earlier)
    if theirs is None or theirs.get(DATASET) != mine.get(DATASET):
        return None
    summary = workspace().run(earlier).summary()
    return Parent(earlier, summary.name, len(changes([mine, theirs]))) if summary.status is Status.FINISHED else None


def _settings(run_id: str) -> Mapping[Setting, Value] | None:
    recipe = recipe_of(run_id)
    return None if recipe is None else settings(recipe, len(recipe.steps) - 1)


@st.cache_resource(show_spinner=False, max_entries=8)
def state(folder: str, run_id: str) -> RunState:
    """What the run, which is over, was like."""
    return workspace().run(run_id).state()
