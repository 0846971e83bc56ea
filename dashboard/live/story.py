"""What is happening in a run, in words bound to it: what it sets out to do and what goes on now; and what is known so
far and what is not yet, in the place that is kept for what the run comes to."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import streamlit as st

from core.catalog import load_catalog
from core.options import Value
from core.recipe import Recipe, Step
from core.runs import Run
from core.state import RunState
from core.text.escaping import UserText
from dashboard import closing, run_status, terms
from dashboard.charts.style import MARKS
from dashboard.components import TEXT_COLORS
from dashboard.i18n import language, say
from dashboard.live.kept import kept


def draw(run: Run, recipe: Recipe | None, state: RunState) -> None:
    """Open above the charts while the run goes on, and kept when it is over."""
    told = kept("story", _tells(run, state), lambda: list(lines(recipe, state)))
    if not told:
        return
    head = f":material/lightbulb: **{say('live.happened' if state.status.is_over else 'live.happening')}**"
    with st.container(border=True, key="happening"):
        explained = terms.of_text("\n".join(told[:1]))  # of the plan, which stays
        small = [f":small[{explained}]"] if explained else []
        st.markdown("\n\n".join([head, *told, *small]))  # one block: each further one costs the browser as much again


def _tells(run: Run, state: RunState) -> Hashable:
    """All that the words depend on."""
    told = state.last_progress
    at = told and (told.what, told.control, told.step, 0 if told.what == "training" else told.batches)
    return run.id, state.status, at


def lines(recipe: Recipe | None, state: RunState) -> Iterator[str]:
    """The paragraphs."""
    if recipe is not None:
        yield "  \n".join(plan(recipe))
    if now := run_status.over(state) if state.status.is_over else run_status.happening(state, recipe):
        yield f":material/arrow_forward: {now}"


def so_far(run: Run, recipe: Recipe | None, state: RunState) -> None:
    """What is known of a run that goes on, where it will say what it came to: its end moves nothing."""
    known = [closing.full(closing.of(run, state))] if state.points else []
    with st.container(border=True, key="so_far"):
        st.markdown("\n\n".join([*known, *unknown(recipe, state)]))


def plan(recipe: Recipe) -> Iterator[str]:
    """What each step is for, a line each, with this recipe's own networks and numbers."""
    for number, step in enumerate(recipe.resolved().steps):
        mark = f":{TEXT_COLORS.get(step.stage, 'gray')}[{MARKS.get(step.stage, '○')}]"
        yield f"{mark} {_purpose(number, step, recipe)}"
        if step.stage == "distill" and step.options.get("twin"):
            yield f":gray[○] {say('story.twin')}"


def _purpose(number: int, step: Step, recipe: Recipe) -> str:
    if step.stage == "transfer" and number == 0:
        way = "untrained" if recipe.weights == "none" else "pretrained"
        network = UserText(recipe.backbone).md()
        return say(f"story.transfer_{way}", network=network, data=_data(recipe.dataset), labels=_labels(recipe))
    if step.stage == "distill":
        images = say("story.all_images" if step.options.get("pool") else "story.labelled_images")
        return say("story.distill", student=_written(step.options.get("student", "")), images=images)
    if step.stage == "quantize":
        return say("story.quantize")
    return say(f"story.{step.stage}")


def _labels(recipe: Recipe) -> str:
    if recipe.labels:
        return say("story.labels", count=f"{recipe.labels:,}")
    return say("story.shots", count=recipe.shots) if recipe.shots else say("story.labels_all")


def _data(name: str) -> str:
    facts = load_catalog().datasets.get(name, {})
    title = facts.get("title_zh" if language() == "zh" else "title") or name
    return UserText(str(title)).md()


def _written(value: Value) -> str:
    return UserText(str(value)).md()


def unknown(recipe: Recipe | None, state: RunState) -> Iterator[str]:
    """What the run will show and has not yet."""
    if not state.points:
        yield f":gray[{say('story.no_point_yet')}]"
    taught = recipe is not None and any(s.stage == "distill" and s.options.get("twin") for s in recipe.resolved().steps)
    if taught and not any(control.stage == "distill" for control in state.controls):
        yield f":gray[{say('story.no_twin_yet')}]"
