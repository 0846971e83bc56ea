"""For a learner: what of the teacher's own they may use, and what of theirs stands in its place."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.classroom.lent import is_lent, shadowed
from core.classroom.limits import limits
from core.errors import UserError
from core.lessons import lesson_files
from core.lessons.blocks import Lesson
from core.own.added_backbones import added
from core.own.added_backbones import file_of as added_file
from core.own.datasets import all_names, find_home, imported_datasets
from core.own.models import network_home, own_networks, read_network
from core.text.escaping import UserText
from dashboard.i18n import language, say
from dashboard.session import Language, is_learner, root, workspace


def is_teachers(dataset: str) -> bool:
    """Whether an imported dataset of this workspace is the teacher's: to use, not to change."""
    home = find_home(dataset, workspace().datasets)
    return home is not None and is_lent(home)


def is_teachers_network(name: str) -> bool:
    """The same of an imported network, or of one of timm's that was added."""
    folder = workspace().models
    return is_lent(network_home(name, folder)) or is_lent(added_file(name, folder))


def lessons(spoken: Language) -> list[Lesson]:
    """The teacher's own lessons, for a learner who may use them."""
    is_open = is_learner() and limits(root().path).teachers == "read-only"
    return lesson_files.own(root(), spoken) if is_open else []


def show() -> None:
    """A list of it on the page Class; nothing where nothing is lent."""
    here = workspace()
    sets = [name for name in imported_datasets(here.datasets) if is_teachers(name)]
    networks = [stored.card.name for stored in own_networks(here.models) if is_lent(stored.home)]
    networks += [name for name in added(here.models) if is_lent(added_file(name, here.models))]
    kinds = {"datasets": sets, "networks": networks, "lessons": [lesson.title for lesson in lessons(language())]}
    if not any(kinds.values()) and not shadowed(here.path):
        return
    st.subheader(say("classroom.from_teacher"), anchor=False)
    st.caption(say("classroom.from_teacher_help"))
    for kind, names in kinds.items():
        if names:
            told = " · ".join(UserText(name).md() for name in names)
            st.markdown(say(f"classroom.lent_{kind}", names=told))
    tell_shadowed()


def tell_shadowed() -> None:
    """Says what of the teacher's the learner does not get, since they have something of that name."""
    names = [_called(theirs) for theirs in shadowed(workspace().path)]
    for name in (*names, *_lessons_of_both()):
        st.info(say("classroom.shadowed", name=UserText(name).md()), icon=":material/info:")


def _lessons_of_both() -> list[str]:
    """The titles of the teacher's lessons that the learner has a lesson of the same id beside."""
    mine = {lesson.id for lesson in lesson_files.own(workspace(), language())}
    return [lesson.title for lesson in lessons(language()) if lesson.id in mine]


def _called(home: Path) -> str:
    """The name of one of the teacher's datasets or networks; that of its folder where it is damaged."""
    try:
        return next(iter(all_names(home))) if home.parent.name == "datasets" else read_network(home).card.name
    except (UserError, StopIteration):
        return home.name
