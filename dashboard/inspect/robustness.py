"""How the point, and what it is held against, stand noise, blur, weather and compression: asked for by a button."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from core.errors import UserError, UserErrors
from core.processes.workers import ensure_supervisor
from core.questions.corruptions import CORRUPTIONS, KINDS, SEVERITIES
from core.questions.robustness import LIMIT, Robustness, RobustnessRequest
from core.text import formatting
from dashboard import components, faults
from dashboard.charts import robustness as chart
from dashboard.i18n import in_turn, named, say, template
from dashboard.inspect.choice import Choice
from dashboard.inspect.sentence import signed
from dashboard.job_news import news
from dashboard.session import dark, read_only, recall, remember, workspace

EVERY = 1.0  # seconds between two looks at a job that goes on
CELLS = 1 + len(CORRUPTIONS) * len(SEVERITIES)
NOTHING = Robustness()
WHICH = (chart.ALL, *KINDS, *CORRUPTIONS)


@dataclass(frozen=True)
class Asked:
    """A question of this session: which job answers it, and what has come; `error` where it did not end well."""

    job: str
    found: Robustness = NOTHING
    over: bool = False
    error: UserError | UserErrors | None = None
    details: str = ""


def show(choice: Choice) -> None:
    """What it is, the button, and the curves as far as they have come."""
    st.markdown(say("inspect.robustness_about", images=LIMIT, count=len(CORRUPTIONS)))
    asked = _asked(choice)
    if asked is None or asked.over:
        label = say("inspect.robustness_again" if asked is not None else "inspect.robustness_start")
        st.button(
            label,
            key="inspect_robustness_start",
            icon=":material/foggy:",
            on_click=_start,
            args=(choice,),
            disabled=read_only(),
            type="secondary" if asked is not None else "primary",
        )
    else:
        st.button(
            say("inspect.robustness_stop"),
            key="inspect_robustness_stop",
            icon=":material/stop_circle:",
            on_click=_stop,
            args=(asked,),
        )
    if asked is not None:
        st.fragment(_live, run_every=None if asked.over else EVERY)(choice)


def _points(choice: Choice) -> tuple[str, ...]:
    return tuple(one.id for one in (choice.side, choice.against) if one is not None)


def _key(choice: Choice) -> str:
    return f"inspect.robustness/{'/'.join(_points(choice))}"


def _asked(choice: Choice) -> Asked | None:
    found: Asked | None = recall(_key(choice), None)
    return found


def _start(choice: Choice) -> None:
    try:
        job = workspace().ask(RobustnessRequest(_points(choice), LIMIT))
        ensure_supervisor(workspace())
        remember(_key(choice), Asked(job.id))
    except (OSError, RuntimeError) as error:
        remember(_key(choice), Asked("", over=True, error=faults.not_done(error), details=str(error)))


def _stop(asked: Asked) -> None:
    try:
        workspace().job(asked.job).cancel()
    except UserError:
        return  # it has ended, and was cleared away


def _live(choice: Choice) -> None:
    """Looks at the job; the whole page is drawn once more when it has ended."""
    asked = _asked(choice)
    if asked is None:
        return
    if not asked.over:
        told = news(asked.job, RobustnessRequest)
        asked = replace(asked, found=told.answer or asked.found, over=told.over, error=told.error, details=told.details)
        remember(_key(choice), asked)
        if asked.over:
            st.rerun()
    _told(asked)
    if asked.found.rows:
        _curves(choice, asked.found)


def _told(asked: Asked) -> None:
    """How far it is, or why it ended early."""
    if isinstance(asked.error, UserError) and asked.error.code == "cancelled":
        st.caption(say("inspect.robustness_stopped"))
    elif asked.error is not None:
        faults.refused(asked.error, asked.details)
    elif not asked.over:
        points = max(len({row.point for row in asked.found.rows}), 1)
        done = len(asked.found.rows) // points
        st.progress(min(done / CELLS, 1.0), say("inspect.robustness_progress", done=done, total=CELLS))


def _curves(choice: Choice, found: Robustness) -> None:
    names, stages = _names(choice)
    known = [row for row in found.rows if row.point in names]
    which = st.selectbox(say("inspect.corruption"), WHICH, key="inspect_corruption", width=300, format_func=_which)
    table = chart.info(known, names, found.images)
    labels = chart.Labels(x=say("inspect.severity"), y=say("inspect.right"), hover=template("inspect.robustness_hover"))
    figure = chart.figure(chart.curves(table, which), stages, labels, dark=dark())
    losses = in_turn(
        say("inspect.robustness_lost", name=name, points=signed(float(change)))
        for name, change in chart.lost(table).items()
        if change == change
    )
    alt = say("inspect.robustness_alt", which=_which(which), images=found.images, losses=losses)
    components.chart(figure, table, key="inspect_robustness", alt=alt, file="robustness")
    st.caption(say("inspect.robustness_help", images=found.images, losses=losses or formatting.NOT_MEASURED))


def _which(name: str) -> str:
    return say(f"inspect.corruption_{name}")


def _names(choice: Choice) -> tuple[dict[str, str], dict[str, str]]:
    """What each point is called, by its id; and its stage, by that name."""
    own = choice.side
    names = {own.id: named(own.point.stage, own.point.method, own.point.name)}
    stages = {names[own.id]: own.point.stage}
    if (other := choice.against) is not None:
        name = say("inspect.side_before", name=named(other.point.stage, other.point.method, other.point.name))
        names[other.id], stages[name] = name, other.point.stage
    return names, stages
