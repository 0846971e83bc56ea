"""For the teacher: hand-ins are taken into the workspace, and what was altered is named."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from core.classroom.overview import everybody
from core.classroom.places import class_of
from core.errors import UserError, UserErrors
from core.files import remove_tree
from core.lessons.titles import titled
from core.processes.ask import ask
from core.processes.workers import SupervisorError, ensure_supervisor
from core.questions.collect import Collected, CollectRequest, Refused, Taken
from core.text.escaping import UserText
from core.workspace import Workspace
from core.workspace_files.uploads import keep_file
from dashboard import engine_words, faults
from dashboard.classroom.who import tell_copies
from dashboard.i18n import known, language, say, together
from dashboard.session import forget, read_only, recall, remember, root

FOUND = "class.collected"


def show() -> None:
    """The field for the zips, and what came of the last ones."""
    st.subheader(say("classroom.collect"), anchor=False)
    st.caption(say("classroom.collect_help"))
    edition = recall("class.edition", 0)
    files = st.file_uploader(
        say("classroom.zips"), type=["zip"], accept_multiple_files=True, key=f"class_zips_{edition}"
    )
    if st.button(
        say("classroom.take", count=len(files)),
        disabled=not files or read_only(),
        icon=":material/move_to_inbox:",
        key="class_take",
    ):
        with st.spinner(say("classroom.taking")):
            remember(FOUND, [_take(file.name, file.getvalue()) for file in files])
        remember("class.edition", edition + 1)
        st.rerun()
    _tell(recall(FOUND, []))


def _take(name: str, data: bytes) -> Collected | tuple[str, UserError | UserErrors]:
    """What became of one zip."""
    try:
        path = keep_file(root(), name, data)
        try:
            ensure_supervisor(root())
            return ask(root(), CollectRequest(str(path)))
        finally:
            with suppress(OSError):
                remove_tree(path.parent)
    except (UserError, UserErrors) as error:
        return name, error
    except (OSError, SupervisorError, RuntimeError) as error:
        return name, UserError("no_answer", "file", f"{name}: {error}", "", "Nothing was taken. Try again.")


def _tell(found: list[Collected | tuple[str, UserError | UserErrors]]) -> None:
    """Each hand-in with its proof, or the reason why it was refused."""
    if not found:
        return
    corners = everybody(root().path)
    for one in found:
        if isinstance(one, tuple):
            faults.refused(one[1])
            continue
        for taken in one.taken:
            told = say("classroom.taken", name=UserText(taken.nickname).md(), runs=taken.runs, points=taken.points)
            told = together((told, _lessons(taken)))
            st.success(together((told, say(f"classroom.proves_{taken.proof}"))), icon=":material/task_alt:")
            for corner in corners:
                if corner.learner.id == taken.corner:
                    tell_copies(corner, corners)
        for refused in one.refused:
            st.error(_why(refused), icon=":material/gpp_bad:")
    st.button(say("classroom.seen_it"), on_click=forget, args=(FOUND,), key="class_seen")


def _lessons(taken: Taken) -> str:
    """The titles of the lessons in a hand-in; empty where there are none."""
    there = Workspace(class_of(root().path) / taken.corner)
    titles = [titled(lesson, language(), there, root()) for lesson in taken.lessons]
    return say("classroom.taken_lessons", titles=" · ".join(UserText(title).md() for title in titles)) if titles else ""


def _why(refused: Refused) -> str:
    code = refused.code if known(f"classroom.refused_{refused.code}", "") else "other"
    return say(
        f"classroom.refused_{code}",
        file=UserText(refused.file).md(),
        given=UserText(engine_words.given(refused.given.removeprefix(f"{refused.file}: "))).md(),
    )
