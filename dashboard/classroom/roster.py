"""For the teacher: a learner gets another nickname, is taken out of the class, and is put back."""

from __future__ import annotations

import time

import streamlit as st

from core.classroom.learners import Class, Learner
from core.classroom.nicknames import LONGEST
from core.classroom.overview import Corner, take_out
from core.errors import UserError
from core.text.escaping import UserText
from core.workspace import KEEP_TRASH
from dashboard import faults
from dashboard.i18n import known, say
from dashboard.session import forget, read_only, recall, remember, root, visit, visited, widget

TOLD = "class.roster_told"


def draw(corner: Corner) -> None:
    """The fields for one learner of the class."""
    learner = corner.learner
    with st.expander(say("classroom.roster"), icon=":material/manage_accounts:"):
        st.text_input(
            say("classroom.rename"),
            learner.nickname,
            max_chars=LONGEST,
            key=f"class_rename_{learner.id}",
            help=say("classroom.rename_help"),
        )
        st.button(
            say("classroom.rename_do"),
            icon=":material/edit:",
            key="class_rename_do",
            disabled=read_only(),
            on_click=_rename,
            args=(learner,),
        )
        st.toggle(say("classroom.remove_trash"), key=f"class_trash_{learner.id}", help=say("classroom.trash_help"))
        st.button(
            say("classroom.remove_do"),
            icon=":material/person_remove:",
            key="class_remove_do",
            disabled=read_only(),
            on_click=_remove,
            args=(learner,),
            help=say("classroom.remove_help"),
        )


def draw_removed() -> None:
    """Who was taken out, each with the way back."""
    gone = Class(root().path).removed()
    if not gone:
        return
    st.markdown(f"**{say('classroom.removed')}**")
    for learner in gone:
        with st.container(horizontal=True, vertical_alignment="center", key=f"class_gone_{learner.id}"):
            st.markdown(_state(learner), width="content")
            st.button(
                say("classroom.put_back"),
                icon=":material/undo:",
                key=f"class_back_{learner.id}",
                type="tertiary",
                disabled=read_only(),
                on_click=_put_back,
                args=(learner,),
            )


def _state(learner: Learner) -> str:
    name = UserText(learner.nickname).md()
    if not learner.in_trash:
        return say("classroom.gone_stays", name=name)
    day = time.strftime("%Y-%m-%d", time.localtime(learner.removed + KEEP_TRASH))
    return say("classroom.gone_trash", name=name, day=day)


def _rename(learner: Learner) -> None:
    try:
        found = Class(root().path).rename(learner.id, str(widget(f"class_rename_{learner.id}", "")))
    except (UserError, OSError) as error:
        remember(TOLD, error)
    else:
        names = {"before": UserText(learner.nickname).md(), "name": UserText(found.nickname).md()}
        remember(TOLD, say("classroom.renamed", **names))


def _remove(learner: Learner) -> None:
    to_trash = bool(widget(f"class_trash_{learner.id}", False))
    try:
        take_out(root().path, learner.id, to_trash=to_trash)
    except (UserError, OSError) as error:
        remember(TOLD, error)
        return
    if visited() == learner.id:
        visit(None)
    remember(TOLD, say("classroom.removed_now", name=UserText(learner.nickname).md()))


def _put_back(learner: Learner) -> None:
    try:
        Class(root().path).put_back(learner.id)
    except (UserError, OSError) as error:
        remember(TOLD, error)
    else:
        remember(TOLD, say("classroom.is_back", name=UserText(learner.nickname).md()))


def tell() -> None:
    """What became of the last change."""
    told: str | UserError | OSError | None = recall(TOLD, None)
    forget(TOLD)
    if isinstance(told, str):
        st.success(told, icon=":material/check:")
    elif isinstance(told, UserError):
        _refused(told)
    elif told is not None:
        faults.refused(faults.not_done(told), str(told))


def _refused(error: UserError) -> None:
    words = known(f"classroom.rename_{error.code}", "")
    if words:
        st.error(words, icon=":material/error:")
    else:
        faults.refused(error)
