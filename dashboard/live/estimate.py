"""How long a run will still take: asked of the engine while nothing is timed, and corrected by what its steps took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import streamlit as st

from core.errors import UserError, UserErrors
from core.processes.workers import supervisor
from core.questions.preview import Preview, PreviewRequest
from core.recipe import Recipe
from core.run_files import eta
from core.run_files.eta import Plan
from core.runs import Run
from core.state import RunState, Status
from dashboard.design.preview import asking
from dashboard.session import read_only, workspace

CALM = 2.0  # seconds after its start that a run is left alone: its first curve comes first
QUIET = ("downloading", "exporting", "measuring")  # what is not disturbed: a question would be in the latencies
TRIES = 4  # a question is taken back where a model is about to be timed, and asked again later


@dataclass
class Known:
    """What this process knows of runs, by their ids: how long they were expected to take, which job is asked, and how
    often one was."""

    plans: dict[str, Plan] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)


@st.cache_resource(show_spinner=False)
def _known(folder: str) -> Known:
    return Known()


def known() -> Known:
    """Of this workspace, for all visitors."""
    return _known(str(workspace().path))


def left(run: Run, recipe: Recipe | None, state: RunState) -> float | None:
    """Seconds until the run is over, None while that is not known."""
    found = planned(run, recipe, state)
    if found is None or recipe is None or state.status is not Status.RUNNING:
        return None
    return eta.remaining(found, state, recipe.seed, time.time())


def planned(run: Run, recipe: Recipe | None, state: RunState) -> Plan | None:
    """The estimate for a run; asks for it where nobody has yet and asking disturbs nothing."""
    held = known()
    if run.id in held.plans or recipe is None:
        return held.plans.get(run.id)
    text = replace(recipe, name="").to_toml()
    answer = asking().answer
    if answer is not None and answer.text == text and isinstance(answer.found, Preview):
        _keep(held, run, recipe, answer.found)
    elif run.id in held.jobs:
        _collect(held, run, recipe, state)
    elif held.tries.get(run.id, 0) < TRIES and _may_ask(state):
        held.tries[run.id] = held.tries.get(run.id, 0) + 1
        held.jobs[run.id] = workspace().ask(PreviewRequest(text)).id
    return held.plans.get(run.id)


def _may_ask(state: RunState) -> bool:
    """Only while nothing is timed or about to be."""
    told = state.last_progress
    calm = state.status is Status.RUNNING and told is not None and told.what not in QUIET
    return (
        calm
        and time.time() - (state.started or 0.0) >= CALM
        and not read_only()
        and supervisor(workspace()) is not None
    )


def _collect(held: Known, run: Run, recipe: Recipe, state: RunState) -> None:
    """Takes the answer; takes the question back where a model is about to be timed."""
    try:
        job = workspace().job(held.jobs[run.id])
        if not job.done():
            told = state.last_progress
            if told is not None and told.what in QUIET and not job.cancel_requested():
                job.cancel()
            return
        found = PreviewRequest.answer_from_document(job.result())
    except (UserError, UserErrors, OSError):  # gone, or taken back
        held.jobs.pop(run.id, None)
    else:
        held.jobs.pop(run.id, None)
        _keep(held, run, recipe, found)


def _keep(held: Known, run: Run, recipe: Recipe, found: Preview) -> None:
    beside = next((float(n.values.get("seconds", 0.0)) for n in found.notes if n.code == "controls"), 0.0)
    macs = {row.step: row.macs for row in found.rows}
    held.plans[run.id] = eta.plan(recipe, found.seconds, beside, macs)
