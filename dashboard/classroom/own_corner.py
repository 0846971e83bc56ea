"""For a learner: what their corner uses of its limits, and the hand-in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from core.classroom.hand_in import MOST_RUNS, hand_in, lessons_of
from core.classroom.learners import card
from core.classroom.limits import limits, usage
from core.errors import UserError
from core.runs import RunSummary
from core.text import formatting
from core.text.escaping import UserText
from dashboard import faults
from dashboard.classroom import teachers_own
from dashboard.classroom.handed_page import write
from dashboard.i18n import language, say, speaking
from dashboard.session import dark, root, workspace


def show() -> None:
    """The corner, then what to hand in."""
    used, most = usage(workspace().path), limits(root().path)
    st.subheader(say("classroom.corner"), anchor=False)
    with st.container(horizontal=True):
        st.metric(say("classroom.waiting_now"), f"{used.waiting} / {most.waiting}", border=True)
        st.metric(say("classroom.limit_minutes"), f"{used.minutes:.1f} / {most.minutes}", border=True)
        st.metric(say("classroom.disk"), f"{formatting.size(used.disk)} / {formatting.size(most.disk)}", border=True)
        told = f"{formatting.size(used.uploads)} / {formatting.size(most.uploads)}"
        st.metric(say("classroom.uploaded"), told, border=True)
    teachers_own.show()
    _hand_in()


def _hand_in() -> None:
    st.subheader(say("classroom.hand_in"), anchor=False)
    st.caption(say("classroom.hand_in_help"))
    over = [run for run in workspace().runs() if run.status.is_over]
    chosen = _chosen(over) if over else []
    if not chosen and not lessons_of(workspace().path):
        st.caption(say("classroom.nothing"))
        return
    if st.button(say("classroom.prepare"), type="primary", icon=":material/inventory_2:", key="class_prepare"):
        _prepare(chosen)


def _chosen(over: list[RunSummary]) -> list[RunSummary]:
    """The runs that a learner wants to hand in: all of them, unless they choose."""
    found: list[RunSummary] = st.multiselect(
        say("classroom.runs"),
        over,
        default=over[:MOST_RUNS],
        max_selections=MOST_RUNS,
        key="class_runs",
        format_func=lambda run: UserText(f"{run.name} · {run.id[-6:]}").plain(),
        placeholder=say("forms.choose"),
    )
    return found


def _prepare(chosen: list[RunSummary]) -> None:
    """Makes the zip and offers it."""
    corner, spoken = workspace(), language()
    learner = card(corner.path)
    with tempfile.TemporaryDirectory(prefix="condenser-hand-in-") as folder, speaking(spoken):
        path = Path(folder) / "hand-in.zip"
        try:
            page = write(corner.path, chosen, dark=dark())
            hand_in(corner.path, [corner.run(run.id) for run in chosen], page, path)
        except UserError as error:
            faults.refused(error)
            return
        except OSError as error:
            faults.refused(faults.not_done(error), str(error))
            return
        data = path.read_bytes()
    name = UserText(learner.nickname if learner else corner.path.name).path().replace(" ", "_")
    st.download_button(
        say("classroom.download", size=formatting.size(len(data))),
        data,
        f"hand-in-{name}.zip",
        "application/zip",
        icon=":material/download:",
        key="class_download",
        on_click="ignore",
    )
