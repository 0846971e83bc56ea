"""What every page of a class says on top: whose corner it is, and what was refused outside of a page."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from core.classroom.learners import card
from core.classroom.lent import lend
from core.classroom.places import class_of, corners
from core.text.escaping import UserText
from core.workspace import Workspace
from dashboard import faults
from dashboard.classroom import invitation, poll, teachers_own
from dashboard.classroom.seats import TEACHER, seats
from dashboard.i18n import say
from dashboard.session import root, visit, visited, workspace


def show(mine: str | None, page: str = "") -> None:
    """On the page at that address: the line of a learner and what the teacher shows them, or the line of the teacher
    who visits one; nothing for the teacher at home."""
    poll.leave()
    refused = seats().told(mine) if mine is not None else None
    if refused is not None:
        faults.refused(refused)
    guest = visited()
    if mine is not None and mine != TEACHER:
        with suppress(OSError):  # a corner that cannot be written to keeps what it has
            lend(workspace().path)
        st.caption(f"{say('classroom.yours', name=_name(mine))} · {say('classroom.turns', count=_waiting())}")
        invitation.show(page)
        if page == "learn":  # a lesson of the teacher's may mean theirs
            teachers_own.tell_shadowed()
    elif guest is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.info(say("classroom.visiting", name=_name(guest)), icon=":material/visibility:", width="stretch")
            st.button(say("classroom.back"), on_click=visit, args=(None,), key="class_back")


def _waiting() -> int:
    """How many runs of the whole class wait."""
    here = root().path
    return sum(len(Workspace(path).queued()) for path in (here, *corners(here)))


def _name(learner: str) -> str:
    found = card(class_of(root().path) / learner)
    return UserText(found.nickname if found else learner).md()
