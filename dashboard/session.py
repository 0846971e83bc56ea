"""What one browser session remembers: the only module that touches st.session_state and the query parameters.

None of its functions is a point where a script may be stopped: what is remembered between two elements is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.classroom.places import ID as CORNER
from core.classroom.places import class_of, is_corner
from core.errors import UserError
from core.runs import Run
from core.workspace import Workspace
from dashboard import late_address
from dashboard.classroom.seats import HEADER, SHARED, TEACHER
from dashboard.undisturbed import undisturbed

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
LONGEST_QUERY = 4096  # characters of one parameter; what is longer was not made by us

WITHIN: ContextVar[Workspace | None] = ContextVar("WITHIN", default=None)

T = TypeVar("T")


# the workspace


def workspace() -> Workspace:
    """The workspace this page shows, with its folders where it can be written to: in a class a learner's own corner,
    for the teacher the one around all corners, or the corner being visited."""
    if (inside := WITHIN.get()) is not None:
        return inside
    whole, mine = root(), seat()
    corner = visited() if mine in (None, TEACHER) else mine
    return whole if corner is None else _opened(str(class_of(whole.path) / corner))


@contextmanager
def within(store: Workspace) -> Iterator[None]:
    """For what is written later, in another thread, where nobody knows who looks at the page: a download."""
    token = WITHIN.set(store)
    try:
        yield
    finally:
        WITHIN.reset(token)


def root() -> Workspace:
    """The workspace that this dashboard was started with."""
    return _opened(os.environ.get("CONDENSER_WORKSPACE", ""))


def seat() -> str | None:
    """Who looks at the page of a shared dashboard: `teacher` or a learner's id; None where it is not shared.

    Raises UserError `no_seat` for a page that did not come through the gate of the class.
    """
    if not os.environ.get(SHARED):
        return None
    found = st.context.headers.get_all(HEADER)
    if len(found) != 1 or not (found[0] == TEACHER or CORNER.fullmatch(found[0])):
        raise UserError("no_seat", "address", "a page without a seat", "", "Open the address of the class again.")
    return str(found[0])


def session_id() -> str:
    """The id of this browser session; empty outside of a page."""
    found = get_script_run_ctx(suppress_warning=True)
    return found.session_id if found else ""


def is_learner() -> bool:
    """Whether a learner of a class looks at the page: nothing of this machine but their corner is theirs."""
    return seat() not in (None, TEACHER)


def visit(learner: str | None) -> None:
    """For the teacher: shows that learner's corner on all pages from now on; None: the teacher's own again."""
    if not is_learner():
        remember("visited", learner)


def visited() -> str | None:
    """The learner whose corner the teacher is visiting, if any, and if it is still there."""
    found: str | None = None if is_learner() else recall("visited", None)
    return found if found is not None and is_corner(class_of(root().path) / found) else None


def read_only() -> bool:
    """Whether the workspace can only be looked at."""
    return not os.access(workspace().path, os.W_OK | os.X_OK)


@st.cache_resource(show_spinner=False)
def _opened(named: str) -> Workspace:
    store = Workspace.named(Path(named) if named else None)
    writable = not store.path.exists() or os.access(store.path, os.W_OK | os.X_OK)
    return Workspace.open_or_create(store.path) if writable else store


# language and theme


def language() -> Language:
    """The person's choice, else what their browser asks for."""
    chosen = query("lang", LANGUAGES) or recall("language", None)
    if chosen in LANGUAGES:
        return "zh" if chosen == "zh" else "en"
    return "zh" if (st.context.locale or "").lower().startswith("zh") else "en"


def choose_language(chosen: Language) -> None:
    """Keeps the choice for this session and in the address."""
    remember("language", chosen)
    put_query("lang", chosen)


def dark() -> bool:
    """Whether the page is shown dark."""
    return st.context.theme.type == "dark"


# memory of this session; keys are `page.name`


@undisturbed()
def recall(key: str, default: T) -> T:
    """What `remember` kept under `key`, else `default`."""
    value: T = st.session_state.get(_own(key), default)
    return value


@undisturbed()
def remember(key: str, value: object) -> None:
    """Keeps `value` for this session."""
    st.session_state[_own(key)] = value


@undisturbed()
def forget(key: str) -> None:
    """Drops what `remember` kept."""
    st.session_state.pop(_own(key), None)


@undisturbed()
def widget(key: str, default: T) -> T:
    """What the widget of that key holds now."""
    value: T = st.session_state.get(key, default)
    return value


@undisturbed()
def set_widget(key: str, value: object) -> None:
    """Gives a widget a value before it is drawn."""
    st.session_state[key] = value


def _own(key: str) -> str:
    return f"kept:{key}"


# the address: what is in it can be shared


def query(name: str, allowed: Sequence[str]) -> str | None:
    """A query parameter, or None if it is absent, repeated or not one of `allowed`."""
    value = raw_query(name)
    return value if value in allowed else None


@undisturbed()
def raw_query(name: str) -> str | None:
    """A query parameter as the address has it: whatever somebody wrote there; None if absent, repeated or huge."""
    values = st.query_params.get_all(name)
    return values[0] if len(values) == 1 and len(values[0]) <= LONGEST_QUERY else None


@undisturbed()
def put_query(name: str, value: str | None) -> None:
    """Writes a parameter into the address; None or an empty text takes it out."""
    if value:
        if st.query_params.get_all(name) != [value]:
            st.query_params[name] = value
            late_address.wrote()
    elif name in st.query_params:
        del st.query_params[name]
        late_address.wrote()


# what is followed


def followed(run_id: str) -> Run:
    """The run, kept between reruns so that only its new events are read; raises UserError `unknown_run`."""
    run: Run | None = recall("followed", None)
    if run is None or run.id != run_id or not run.folder.is_dir():
        run = workspace().run(run_id)
        remember("followed", run)
    return run
