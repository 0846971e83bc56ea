"""What each layer of a run's network alone loses when pruned or rounded: asked of the engine, drawn as it comes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from core.errors import UserError, UserErrors
from core.jobs import Job
from core.points import Point
from core.processes.workers import ensure_supervisor
from core.questions.sensitivity import LIMIT, VALUES, Row, SensitivityRequest, question
from core.runs import Run
from core.state import RunState
from core.text.escaping import UserText
from dashboard import components, faults
from dashboard.charts import sensitivity as chart
from dashboard.i18n import named, say, template
from dashboard.job_news import news
from dashboard.session import dark, read_only, recall, remember, workspace

EVERY = 1.0  # seconds between two looks at a job that goes on


@dataclass(frozen=True)
class Asked:
    """A question of this session: which job answers it, and what has come; `error` where it did not end well."""

    job: str
    step: int
    what: str
    found: tuple[Row, ...] = ()
    images: int = 0
    over: bool = False
    error: UserError | UserErrors | None = None
    details: str = ""


def draw(run: Run, state: RunState) -> None:
    """The question, and its answer as far as it has come."""
    points = [point for point in state.points if point.stage != "quantize"]
    st.markdown(say("sensitivity.about", images=LIMIT))
    if not state.status.is_over or not points:
        st.caption(say("sensitivity.later"))
        return
    _ask(run, points)
    asked = _asked(run)
    if asked is not None:
        st.fragment(_live, run_every=None if asked.over else EVERY)(run)


def _ask(run: Run, points: list[Point]) -> None:
    names = {point.step: named(point.stage, point.method, point.name) for point in points}
    asked = _asked(run)
    busy = asked is not None and not asked.over
    with st.container(horizontal=True, vertical_alignment="bottom", key="sensitivity_ask"):
        step = st.selectbox(
            say("sensitivity.step"),
            list(names),
            len(names) - 1,
            format_func=lambda n: f"{n + 1} {names[n]}",
            key=f"sensitivity_step_{run.id}",
            width=320,
        )
        what = st.segmented_control(
            say("sensitivity.what"),
            list(VALUES),
            default="ratio",
            required=True,
            key=f"sensitivity_what_{run.id}",
            format_func=lambda name: say(f"sensitivity.{name}"),
        )
        if st.button(
            say("sensitivity.start"),
            icon=":material/query_stats:",
            key="sensitivity_start",
            disabled=busy or read_only(),
        ):
            _start(run, step, what or "ratio")
            st.rerun()
        if busy and st.button(say("sensitivity.stop"), icon=":material/stop_circle:", key="sensitivity_stop"):
            assert asked is not None
            workspace().job(asked.job).cancel()


def _start(run: Run, step: int, what: str) -> None:
    try:
        job = workspace().ask(question(run, step, what, LIMIT))
        ensure_supervisor(workspace())
        _remember(run, Asked(job.id, step, what))
    except UserError as error:
        _remember(run, Asked("", step, what, over=True, error=error))
    except (OSError, RuntimeError) as error:
        _remember(run, Asked("", step, what, over=True, error=faults.not_done(error), details=str(error)))


def _asked(run: Run) -> Asked | None:
    found: Asked | None = recall(f"sensitivity.{run.id}", None)
    return found


def _remember(run: Run, asked: Asked) -> None:
    remember(f"sensitivity.{run.id}", asked)


def _live(run: Run) -> None:
    """Looks at the job; the whole page is drawn once more when it has ended."""
    asked = _asked(run)
    if asked is None:
        return
    if not asked.over:
        told = news(asked.job, SensitivityRequest)
        asked = replace(asked, over=told.over, error=told.error, details=told.details)
        if told.answer is not None:
            asked = replace(asked, found=told.answer.rows, images=told.answer.images)
        _remember(run, asked)
        if asked.over:
            st.rerun()
    show(asked)


def show(asked: Asked) -> None:
    """How far it is, and every row there is."""
    if isinstance(asked.error, UserError) and asked.error.code == "cancelled":
        st.caption(say("sensitivity.stopped"))
    elif asked.error is not None:
        faults.refused(asked.error, asked.details)
    elif not asked.over:
        _progress(asked)
    if not asked.found:
        return
    table = chart.info(asked.found)
    labels = chart.Labels(x=say(f"sensitivity.axis_{asked.what}"), hover=template("sensitivity.hover"))
    figure = chart.figure(table, labels, dark=dark())
    layers = table["layer"].nunique()
    alt = say("sensitivity.alt", layers=layers, weakest=UserText(chart.weakest(table)).plain())
    st.caption(say("sensitivity.measured", step=asked.step + 1, images=asked.images))
    components.chart(figure, table, key="sensitivity", alt=alt, file="sensitivity")


def _progress(asked: Asked) -> None:
    told = _job_progress(asked.job)
    st.progress(told[0] / max(told[1], 1), say("sensitivity.progress", done=told[0], total=told[1] or "…"))


def _job_progress(name: str) -> tuple[int, int]:
    try:
        job: Job = workspace().job(name)
    except UserError:
        return 0, 0
    progress = job.progress()
    return (progress.done, progress.total) if progress else (0, 0)
