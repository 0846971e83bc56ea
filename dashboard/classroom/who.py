"""For the teacher: who is where, what runs, predictions held against results; visit a corner, stop its runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core.classroom.hand_in import discard
from core.classroom.learners import CODE_LASTS, Class
from core.classroom.limits import Usage, usage
from core.classroom.overview import Corner, copies, everybody, last_point, stop_all
from core.errors import UserError
from core.lessons.titles import titled
from core.text import formatting
from core.text.escaping import UserText
from dashboard import faults
from dashboard.addresses import page_at
from dashboard.classroom import again, roster
from dashboard.classroom.seats import Visit, seats
from dashboard.classroom.worded import called, lessons_of, result, worded
from dashboard.i18n import known, language, say
from dashboard.session import read_only, root, visit

HERE = 90.0  # seconds since the last page, within which somebody is taken to be there
POLL = 5.0
USED_FOR = 60.0  # seconds that what a corner uses is taken to be still true


def show() -> None:
    """The table of the class, looked at anew every few seconds, and what can be done about one row."""
    st.subheader(say("classroom.who"), anchor=False)
    roster.tell()
    corners = everybody(root().path)
    if not corners:
        st.caption(say("classroom.nobody"))
    else:
        _table()
    roster.draw_removed()
    if corners:
        _choose(corners)


def _choose(corners: Sequence[Corner]) -> None:
    """The choice of a row, and what can be done about it."""
    chosen: Corner | None = st.selectbox(
        say("classroom.choose"),
        corners,
        index=None,
        format_func=_called,
        key="class_choose",
        placeholder=say("forms.choose"),
    )
    if chosen is not None:
        _one(chosen, corners)


@st.fragment(run_every=POLL)
def _table() -> None:
    corners, last = everybody(root().path), seats().last()
    table = pd.DataFrame([_row(corner, last) for corner in corners])
    st.dataframe(table, hide_index=True, width="stretch", alt=say("classroom.who_alt", count=len(corners)))


def _row(corner: Corner, last: Mapping[str, Visit]) -> dict[str, object]:
    visit, used = last.get(corner.learner.id), _used(str(corner.workspace.path))
    points = [point for _, point in corner.points]
    return {
        say("classroom.name"): UserText(corner.learner.nickname).plain(),
        say("classroom.where"): _where(corner, visit),
        say("classroom.going"): len(corner.going),
        say("classroom.over"): len(corner.runs) - len(corner.going),
        say("classroom.points"): len(points),
        say("classroom.predictions"): sum(not one.is_answer for one in corner.predictions),
        say("classroom.minutes"): round(used.minutes, 1),
        say("classroom.disk"): formatting.size(used.disk),
    }


@st.cache_data(show_spinner=False, ttl=USED_FOR)
def _used(folder: str) -> Usage:
    """What a corner uses; walking through thirty of them takes longer than the table may."""
    return usage(Path(folder))


def _where(corner: Corner, visit: Visit | None) -> str:
    """The page somebody is on, when they were last seen, or what is known of a hand-in or of who was taken out."""
    if corner.learner.proof:
        return say(f"classroom.proof_{corner.learner.proof}")
    if corner.learner.removed:
        return say("classroom.is_removed")
    if visit is None:
        return say("classroom.not_seen")
    page = known(f"frame.{page_at(visit.page)}", visit.page)
    ago = time.time() - visit.seen
    return page if ago < HERE else say("classroom.seen", page=page, minutes=max(1, round(ago / 60)))


def _one(corner: Corner, corners: Sequence[Corner]) -> None:
    """A learner's predictions beside the results, and the teacher's buttons."""
    with st.container(horizontal=True):
        if st.button(
            say("classroom.visit"),
            icon=":material/present_to_all:",
            key="class_visit",
            help=say("classroom.visit_help"),
        ):
            visit(corner.learner.id)
            st.switch_page("app_pages/tradeoffs.py")
        if st.button(
            say("classroom.stop", count=len(corner.going)),
            disabled=not (corner.going or corner.searching),
            icon=":material/stop_circle:",
            key="class_stop",
            help=say("classroom.stop_help"),
        ):
            stop_all(corner)
            st.rerun()
    if corner.learner.is_there:
        _code(corner)
        roster.draw(corner)
    elif corner.learner.proof:
        _discard(corner)
        st.caption(say(f"classroom.proves_{corner.learner.proof}"))
    tell_copies(corner, corners)
    again.show(corner)
    rows = _predicted(corner)
    if rows:
        alt = say("classroom.predictions_alt", count=len(rows))
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", alt=alt)
    else:
        st.caption(say("classroom.no_predictions"))


def _discard(corner: Corner) -> None:
    """The button that deletes a hand-in; whoever has its zip can have it taken again."""
    if st.button(
        say("classroom.discard"),
        icon=":material/delete:",
        key="class_discard",
        help=say("classroom.discard_help"),
        disabled=read_only(),
    ):
        try:
            discard(corner.workspace.path)
        except (UserError, OSError) as error:
            faults.refused(error if isinstance(error, UserError) else faults.not_done(error))
            return
        st.rerun()


def _code(corner: Corner) -> None:
    """A code for a learner who lost their browser; it is shown once, and only its hash is kept."""
    if st.button(
        say("classroom.let_back"),
        icon=":material/key:",
        key="class_code",
        help=say("classroom.let_back_help"),
        disabled=read_only(),
    ):
        code = Class(root().path).code_for(corner.learner.id)
        name, minutes = UserText(corner.learner.nickname).md(), round(CODE_LASTS / 60)
        st.info(say("classroom.code", name=name, code=code, minutes=minutes), icon=":material/key:")


def tell_copies(corner: Corner, corners: Sequence[Corner]) -> None:
    """Says which of a corner's runs somebody else has as well."""
    for run, names in copies(corner, corners):
        told = " · ".join(UserText(name).md() for name in names)
        st.warning(say("classroom.copied", run=UserText(run.name).md(), names=told), icon=":material/content_copy:")


def _predicted(corner: Corner) -> Sequence[dict[str, object]]:
    """Each prediction with what the learner's own runs of that lesson came to."""
    rows: list[dict[str, object]] = []
    lessons = lessons_of(corner.workspace, root())
    for one in corner.predictions:
        points = [point for run in one.runs if (point := last_point(corner, run)) is not None]
        results = map(result, points)
        rows.append(
            {
                say("classroom.lesson"): UserText(titled(one.lesson, language(), corner.workspace, root())).plain(),
                say("classroom.prediction"): UserText(worded(one, lessons.get(one.lesson))).plain(),
                say("classroom.own_results"): " · ".join(results) or "–",
            }
        )
    return rows


def _called(corner: Corner) -> str:
    return UserText(called(corner)).plain()
