"""Details of a run: its log, its recipe, what it was measured on, the files it left, its layers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.recipe import Step
from core.run_files import run_table
from core.runs import Run
from core.state import RunState
from core.summary import RunSummary
from core.text import formatting
from core.text.escaping import UserText
from dashboard import environment_words, step_names
from dashboard.i18n import headed, listed, named, say
from dashboard.live import sensitivity

LINES = 200


def draw(run: Run, state: RunState, steps: Sequence[Step]) -> None:
    """Shut until it is asked for; then read anew at every redraw of the page."""
    shown = st.expander(say("details.title"), icon=":material/terminal:", key="details", on_change="rerun")
    if not shown.open:
        return
    with shown:
        log, recipe, environment, files, layers = st.tabs(
            [say(f"details.{name}") for name in ("log", "recipe", "machine", "files", "layers")]
        )
        with log:
            _log(run)
        with recipe:
            _recipe(run, state)
        with environment:
            _environment(run.summary())
        with files:
            _files(run, state, steps)
        with layers:
            sensitivity.draw(run, state)


@st.fragment(run_every=2.0)
def _log(run: Run) -> None:
    st.code(run.log_tail(LINES) or say("details.no_log"), language=None, wrap_lines=True, height=320)


def _recipe(run: Run, state: RunState) -> None:
    try:
        text = run.recipe_text
    except (OSError, ValueError):
        st.warning(say("details.no_recipe"))
        return
    file = f"{UserText(state.name).path()}.toml"
    st.download_button(
        say("details.download"), text, file, "application/toml", icon=":material/download:", on_click="ignore"
    )
    st.code(text, language=None)


def _environment(summary: RunSummary) -> None:
    """The run's environment; of points that were measured in unlike ones each, below the names of its points."""
    several = len(summary.environments) > 1
    if not summary.environments_known:
        st.caption(say("details.last_start"))
    for environment, points in summary.environments:
        if several:
            names = listed(UserText(named(point.stage, point.method, point.name)).md() for point in points)
            st.caption(say("details.measured_here", names=names) if points else say("details.measured_nothing"))
        told = [(UserText(name).md(), UserText(value).md()) for name, value in environment_words.rows(environment)]
        rows = pd.DataFrame(told, columns=[say("details.what"), say("details.value")])
        st.table(rows, hide_index=True, border="horizontal", alt=say("details.machine"))


def _files(run: Run, state: RunState, steps: Sequence[Step]) -> None:
    """Artifacts with size and hash, and the checkpoints; the path is for the person's own file manager."""
    rows = [(a.step + 1, a.path, formatting.size(a.bytes), a.sha256) for a in state.artifacts]
    names = [say(f"details.{name}") for name in ("step", "file", "size", "hash")]
    st.dataframe(pd.DataFrame(rows, columns=names), hide_index=True, alt=say("details.files"))
    for step in state.steps:
        for note in step.notes:
            told = step_names.in_words(note, steps, step.step)
            st.caption(headed(step_names.step(step.step, step.stage), UserText(told).md()))
    kept = sorted(path for path in run.checkpoints.glob("seed-*/step-*/epoch-*"))
    st.caption(say("details.checkpoints", count=len(kept), folder=UserText(run.folder).md()))
    st.code(f"condenser export {run.id} --out bundle", language=None)
    if state.status.is_over:
        st.caption(say("details.whole"))
        st.code(f"condenser send {run.id} run.zip --to zip", language=None)
    st.download_button(
        say("details.table"),
        lambda: run_table.to_csv(run),
        f"{UserText(state.name).path()}.csv",
        "text/csv",
        key="details_table",
        icon=":material/download:",
        on_click="ignore",
        help=say("details.table_help"),
    )
