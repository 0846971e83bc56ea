"""A run for other tools: sent to MLflow or written for TensorBoard by a process of its own, or downloaded as a table.

Any page can place `button` next to a run. An address is handed to that process and kept nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

import streamlit as st

from core.errors import UserError, UserErrors
from core.exchange.sending import Sending
from core.exchange.sent import EXPERIMENT, Request, Sent, Tool
from core.run_files import run_table
from core.text import formatting
from core.text.escaping import UserText
from dashboard import faults
from dashboard.i18n import say
from dashboard.session import is_learner, recall, remember, visited, widget, workspace

TOOLS: tuple[Tool, ...] = ("mlflow", "tensorboard")
SERVER = "http://127.0.0.1:5000"
EVERY = 1.0  # seconds between two looks at what is on its way


@dataclass(frozen=True)
class Asked:
    """What this session sends of a run, and what came of it."""

    tool: Tool
    sending: Sending | None
    found: Sent | None = None
    error: UserError | UserErrors | None = None

    @property
    def over(self) -> bool:
        return self.found is not None or self.error is not None


def button(run: str, key: str) -> None:
    """Where to send the run; not for learners of a class, to whom neither the machine nor its network belongs."""
    if is_learner() or visited() is not None:
        return
    with st.popover(
        say("sending.title"), icon=":material/ios_share:", type="tertiary", help=say("sending.help"), key=key
    ):
        name = UserText(workspace().run(run).summary().name).path()
        st.download_button(
            say("sending.table"),
            lambda: run_table.to_csv(workspace().run(run)),
            f"{name}.csv",
            "text/csv",
            key=f"{key}_table",
            icon=":material/download:",
            on_click="ignore",
            help=say("details.table_help"),
        )
        _to_a_tool(run, key)


def _to_a_tool(run: str, key: str) -> None:
    tool: Tool = st.radio(
        say("sending.tool"), TOOLS, format_func=lambda each: say(f"sending.{each}"), key=f"{key}_tool", horizontal=True
    )
    st.caption(say(f"sending.about_{tool}"))
    if find_spec(tool) is None:
        st.caption(say("sending.missing"))
        st.code(f'pip install "condenser[{tool}]"', language=None, wrap_lines=True)
        return
    if tool == "mlflow":
        st.text_input(say("sending.address"), SERVER, key=f"{key}_mlflow_where", help=say("sending.address_help"))
        st.text_input(say("sending.experiment"), EXPERIMENT, key=f"{key}_experiment")
    else:
        folder = str(workspace().path / "tensorboard")
        st.text_input(say("sending.folder"), folder, key=f"{key}_tensorboard_where", help=say("sending.folder_help"))
    asked: Asked | None = recall(f"sending.{run}", None)
    st.button(
        say("sending.send"),
        key=f"{key}_send",
        icon=":material/send:",
        on_click=_start,
        args=(run, tool, key),
        disabled=asked is not None and not asked.over,
    )
    if asked is not None and asked.tool == tool:
        st.fragment(_look, run_every=None if asked.over else EVERY)(run)


def _start(run: str, tool: Tool, key: str) -> None:
    where = str(widget(f"{key}_{tool}_where", "")).strip()
    experiment = str(widget(f"{key}_experiment", EXPERIMENT)).strip() or EXPERIMENT
    try:
        asked = Asked(tool, Sending(Request(str(workspace().path), run, tool, where, experiment)))
    except OSError as error:
        asked = Asked(tool, None, error=faults.not_done(error))
    remember(f"sending.{run}", asked)


def _look(run: str) -> None:
    """What came of it; the page is drawn once more when it is over, so that nobody looks any longer."""
    asked: Asked | None = recall(f"sending.{run}", None)
    if asked is None:
        return
    if asked.sending is not None and not asked.over and asked.sending.is_over():
        remember(f"sending.{run}", _ended(asked, asked.sending))
        st.rerun()
    if asked.error is not None:
        faults.refused(asked.error)
    elif asked.found is not None:
        _told(asked.found)
    else:
        st.caption(say("sending.going"))


def _ended(asked: Asked, sending: Sending) -> Asked:
    try:
        return replace(asked, sending=None, found=sending.wait())
    except (UserError, UserErrors) as error:
        return replace(asked, sending=None, error=error)


def _told(sent: Sent) -> None:
    said = say(
        "sending.again" if sent.again else "sending.sent",
        where=UserText(sent.where).md(),
        parameters=sent.parameters,
        metrics=sent.metrics,
        files=sent.files,
        size=formatting.size(sent.bytes),
    )
    st.success(said, icon=":material/check:")
    if sent.to == "tensorboard":
        st.code(
            f'tensorboard --logdir "{UserText(sent.where).plain().rpartition("/")[0]}"', language=None, wrap_lines=True
        )
