"""The earlier run that a run is a variant of: the one most like it, whose curve is drawn faintly behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """An earlier run, and how many settings differ."""

    run: str
    name: str
    differ: int


def of(run: Run, recipe: Recipe | None) -> Parent | None:
    """The finished run before this one on the same dataset that differs in the fewest settings, from one to FEW; the
    newest of them."""
    if recipe is None:
        return None
    return _of(str(workspace().path), run.id)


@st.cache_data(show_spinner=False, max_entries=64, ttl=30)
def _of(folder: str, run_id: str) -> Parent | None:
    mine = _settings(run_id)
    if mine is None:
        return None
    ids = [each for each in workspace().run_ids() if each < run_id][-LATEST:]
    near: Parent | None = None
    for each in reversed(ids):
        theirs = _settings(each)
        alike = theirs is not None and theirs.get(DATASET) == mine.get(DATASET)
        differ = len(changes([mine, theirs])) if alike and theirs is not None else 0
        if 0 < differ <= FEW and (near is None or differ < near.differ):
            summary = workspace().run(each).summary()
            near = Parent(each, summary.name, differ) if summary.status is Status.FINISHED else near
    return near


def _settings(run_id: str) -> Mapping[Setting, Value] | None:
    recipe = recipe_of(run_id)
    return None if recipe is None else settings(recipe, len(recipe.steps) - 1)


@st.cache_resource(show_spinner=False, max_entries=8)
def state(folder: str, run_id: str) -> RunState:
    """What the run, which is over, was like."""
    return workspace().run(run_id).state()
