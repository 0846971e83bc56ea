"""Lets a widget's callback run to its end.

Streamlit stops a script at its next `st` command when the browser sends something new, and so it stops a callback: what
the person set is then half kept, and no callback tells of it again. With `runner.fastReruns` off (config.toml) the
script is at least not run in a second thread meanwhile, so the one thing left is to answer such a request after the
callbacks and not amid them. Streamlit has no setting for that; this replaces two private methods of the version in
constraints.txt.
"""

from __future__ import annotations

import threading
from typing import Any

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.state.session_state import SessionState


class _Now(threading.local):
    """Whether this thread is in a callback; each session's script has a thread of its own."""

    calling = False


def let_callbacks_finish() -> None:
    """From now on, in this process; asked again it does nothing."""
    if getattr(SessionState, "_callbacks_finish", False):
        return
    now, call, heed = _Now(), SessionState._call_callbacks, ScriptRunner._maybe_handle_execution_control_request

    def call_undisturbed(state: SessionState, **options: Any) -> None:
        now.calling = True
        try:
            call(state, **options)
        finally:
            now.calling = False

    def heed_later(runner: ScriptRunner) -> None:
        if not now.calling:
            heed(runner)

    SessionState._call_callbacks = call_undisturbed  # type: ignore[method-assign, assignment]
    ScriptRunner._maybe_handle_execution_control_request = heed_later  # type: ignore[method-assign, assignment]
    SessionState._callbacks_finish = True  # type: ignore[attr-defined]
