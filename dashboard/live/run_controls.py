"""What a person can do to a run on the Live page: choose it, stop it, take it up again; and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core.errors import UserError, UserErrors
from core.integrity.damage import of_run
from core.processes import here
from core.processes.workers import ensure_supervisor
from core.recipe import Step
from core.runs import Run
from core.search.pruning import CUT
from core.state import RunState, Status
from core.text.escaping import UserText
from dashboard import faults, run_status, step_names
from dashboard.i18n import known, say
from dashboard.session import put_query, read_only, recall, remember, widget, workspace

LATEST = 20  # runs to choose from; the others are on the Trade-offs page


def current(ids: list[str]) -> str:
    """The run that goes on, else the newest."""
    for run_id in reversed(ids[-LATEST:]):
        if workspace().run(run_id).summary().status in (Status.RUNNING, Status.STALLED):
            return run_id
    return ids[-1]


def choose(run: Run) -> None:
    """A menu of the newest runs, the shown one among them."""
    ids = list(reversed(workspace().run_ids()[-LATEST:]))
    if run.id not in ids:
        ids.append(run.id)
    put_query("run", run.id)
    key = f"live_run_{run.id}"  # a widget of its own for each: one that is set from here may answer its old value
    st.selectbox(
        say("run_controls.run"),
        ids,
        ids.index(run.id),
        format_func=_title,
        key=key,
        on_change=_choose,
        args=(key,),
        label_visibility="collapsed",
        width=420,
    )


def _choose(key: str) -> None:
    chosen = widget(key, "")
    if chosen in workspace().run_ids():
        put_query("run", chosen)


def _title(run_id: str) -> str:
    """The name and when it was asked for, in plain text: a menu shows what was typed.

    Nothing that changes while the run goes on: the browser answers with this text, and Streamlit looks it up.
    """
    shown: Run | None = recall("followed", None)
    try:
        run = shown if shown is not None and shown.id == run_id else workspace().run(run_id)
        summary = run.summary()  # of a run that is over without its log
    except UserError:
        return run_id
    return f"{summary.name} · {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(summary.created))}"


def buttons(run: Run, state: RunState) -> None:
    """What can be asked of a run in its state."""
    if not state.status.is_over:
        asked = run.cancel_requested()
        label = say("run_controls.cancelling") if asked else say("run_controls.cancel")
        if st.button(label, icon=":material/stop_circle:", key="cancel", disabled=asked or read_only()):
            act(lambda: workspace().cancel(run.id))
        if state.status is not Status.PAUSED and st.button(
            say("run_controls.pause"),
            icon=":material/pause:",
            key="pause",
            disabled=run.pause_requested() or read_only(),
        ):
            act(run.pause)
    if state.status in (Status.PAUSED, Status.CANCELLED, Status.FAILED, Status.INTERRUPTED) and st.button(
        say("run_controls.resume"), icon=":material/play_arrow:", key="resume", type="primary", disabled=read_only()
    ):
        act(lambda: _resume(run.id))
    if state.points and not state.status.is_over:  # then it is next to what the run came to
        st.page_link(
            "app_pages/tradeoffs.py",
            label=say("run_controls.compare"),
            icon=":material/scatter_plot:",
            query_params={"sel": ",".join(f"{run.id}:{point.step}" for point in state.points)},
        )
    st.page_link(
        "app_pages/design.py", label=say("run_controls.variant"), icon=":material/tune:", query_params={"from": run.id}
    )


def _resume(run_id: str) -> None:
    here.refuse_run(workspace(), workspace().run(run_id))
    workspace().resume(run_id)
    ensure_supervisor(workspace())


def act(action: Callable[[], object]) -> None:
    """Does it and draws the page again; what could not be done is told on the page drawn next."""
    try:
        action()
    except (UserError, UserErrors) as error:
        remember("run_controls_refused", (error, ""))
    except (OSError, RuntimeError) as error:
        remember("run_controls_refused", (faults.not_done(error), str(error)))
    st.rerun()


def ending(run: Run, state: RunState, steps: Sequence[Step]) -> None:
    """How the run ended, if not well, with what to do; and what it warned of; its recipe's `steps` in words."""
    worded = partial(step_names.in_words, steps=steps)
    refusal: tuple[UserError | UserErrors, str] | None = recall("run_controls_refused", None)
    if refusal is not None:
        remember("run_controls_refused", None)
        faults.refused(_worded(refusal[0], steps), refusal[1])
    told = faults.of_run(state, worded)
    if told is not None:
        mild = state.status is not Status.FAILED
        details = "" if state.cause_code == "asked" else diagnostics(run, state)
        faults.show(told, details, run_status.ICONS[state.status], mild=mild)
    elif again := faults.trying_again(state):
        st.warning(again, icon=":material/restart_alt:")
    for warned in state.warnings:
        if warned.code == CUT and state.status is Status.FINISHED:  # it was seen through all the same
            continue
        message = step_names.in_words(warned.message, steps, warned.step)
        warning = known(f"run_controls.warned_{warned.code}", UserText(message).md())
        st.warning(warning, icon=":material/info:")
    for found in of_run(run, state):
        st.warning(say(f"run_controls.{found.what}", count=found.count), icon=":material/healing:")


def _worded(error: UserError | UserErrors, steps: Sequence[Step]) -> UserErrors:
    return UserErrors(step_names.mistakes(error.errors if isinstance(error, UserErrors) else (error,), steps))


def diagnostics(run: Run, state: RunState) -> str:
    """What somebody who looks into it has to know."""
    environment = "\n".join(f"{name} {value}" for name, value in state.environment.items())
    error = "\n".join(f"{name}: {value}" for name, value in (state.error or {}).items())
    told = [f"run {run.id}: {state.status.value}", state.cause, error, state.details, run.log_tail(), environment]
    return "\n\n".join(part for part in told if part)
