"""For a learner: what of the teacher's own they may use, and what of theirs stands in its place."""

from __future__ import annotations

import streamlit as st

from core.added_backbones import file_of as added_file
from core.classroom.lent import is_lent, shadowed
from core.classroom.limits import limits
from core.datasets import find_home, imported_datasets
from core.escaping import UserText
from core.lessons import shelf
from core.lessons.blocks import Lesson
from core.models import network_home, own_networks
from core.workspace import Workspace
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
    return shelf.own(root(), spoken) if is_open else []


def show() -> None:
    """A list of it on the page Class; nothing where nothing is lent."""
    here = workspace()
    sets = [name for name in imported_datasets(here.datasets) if is_teachers(name)]
    networks = [stored.card.name for stored in own_networks(here.models) if is_lent(stored.home)]
    kinds = {"datasets": sets, "networks": networks, "lessons": [lesson.title for lesson in lessons(language())]}
    if not any(kinds.values()):
        return
    st.subheader(say("classroom.from_teacher"), anchor=False)
    st.caption(say("classroom.from_teacher_help"))
    for kind, names in kinds.items():
        if names:
            told = ", ".join(UserText(name).md() for name in names)
            st.markdown(say(f"classroom.lent_{kind}", names=told))
    for name in _in_place(here):
        st.info(say("classroom.shadowed", name=UserText(name).md()), icon=":material/info:")


def _in_place(here: Workspace) -> list[str]:
    """The names of the learner's own datasets and networks in whose place the teacher's would be."""
    hidden = set(shadowed(here.path))
    homes = {name: find_home(name, here.datasets) for name in imported_datasets(here.datasets)}
    sets = [name for name, home in homes.items() if home is not None and home.name in hidden]
    return [*sets, *(stored.card.name for stored in own_networks(here.models) if stored.home.name in hidden)]
