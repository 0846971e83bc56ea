"""What one browser session remembers: the only module that touches st.session_state and the query parameters.

None of its functions is a point where a script may be stopped: what is remembered between two elements is whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import streamlit as st

from core.runs import Run
from core.workspace import Workspace
from dashboard.undisturbed import undisturbed

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
LONGEST_QUERY = 4096  # characters of one parameter; what is longer was not made by us

T = TypeVar("T")


# the workspace


def workspace() -> Workspace:
    """The workspace this dashboard shows, with its folders where it can be written to."""
    return _opened(os.environ.get("CONDENSER_WORKSPACE", ""))


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
    elif name in st.query_params:
        del st.query_params[name]


# what is followed


def followed(run_id: str) -> Run:
    """The run, kept between reruns so that only its new events are read; raises UserError `unknown_run`."""
    run: Run | None = recall("followed", None)
    if run is None or run.id != run_id or not run.folder.is_dir():
        run = workspace().run(run_id)
        remember("followed", run)
    return run
