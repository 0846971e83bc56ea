"""For the teacher: how much each learner may use, whether they see each other's results, and what is lent to them."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from core.classroom.lent import lend_to_all
from core.classroom.limits import Limits, limits, set_limits
from dashboard import faults
from dashboard.i18n import say
from dashboard.session import root

MEGABYTE = 10**6


def show() -> None:
    """The form; what it says counts from the moment it is kept."""
    st.subheader(say("classroom.limits"), anchor=False)
    now = limits(root().path)
    with st.form("class_limits"):
        left, right = st.columns(2)
        waiting = left.number_input(say("classroom.limit_waiting"), 1, 1000, now.waiting, key="class_waiting")
        minutes = right.number_input(say("classroom.limit_minutes"), 1, 10_000, now.minutes, key="class_minutes")
        disk = left.number_input(say("classroom.limit_disk"), 10, 10**7, now.disk // MEGABYTE, key="class_disk")
        uploads = right.number_input(say("classroom.limit_uploads"), 1, 10**6, now.uploads // MEGABYTE, key="class_up")
        shown = st.toggle(say("classroom.others"), value=now.others == "read-only", help=say("classroom.others_help"))
        lent = st.toggle(
            say("classroom.lent"), value=now.teachers == "read-only", help=say("classroom.lent_help"), key="class_lent"
        )
        if not st.form_submit_button(say("classroom.keep"), icon=":material/check:"):
            return
    others: Literal["hidden", "read-only"] = "read-only" if shown else "hidden"
    teachers: Literal["hidden", "read-only"] = "read-only" if lent else "hidden"
    chosen = Limits(
        waiting=waiting,
        minutes=minutes,
        disk=disk * MEGABYTE,
        uploads=uploads * MEGABYTE,
        others=others,
        teachers=teachers,
    )
    try:
        set_limits(root().path, chosen)
        lend_to_all(root().path)
    except OSError as error:
        faults.refused(faults.not_done(error), str(error))
    else:
        st.toast(say("classroom.kept"), icon=":material/check:")
