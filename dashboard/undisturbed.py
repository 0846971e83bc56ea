"""Where a script may not be stopped: in a widget's callback, and where the session's memory is changed.

When the browser sends something new, Streamlit starts another script in a second thread and stops the first at its next
`st` command; any look into its memory or the address is such a command, in a callback too. A press was half kept and no
callback told of it again, two callbacks wrote the same draft at once, an answer was taken out of one slot and never put
into the other. Streamlit has no setting for that.

A press that comes while a fragment ends is answered by the fragment's own thread, which still stands in the fragment's
container: the whole page was drawn into it, every field anew, and what was typed meanwhile went nowhere. A script
begins at the top of the page.

`install` replaces three methods of the version in constraints.txt.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.state.session_state import SessionState


class _Now(threading.local):
    """How many such places this thread is in; each script has a thread of its own."""

    depth = 0


_now = _Now()
_turns: WeakValueDictionary[int, threading.RLock] = WeakValueDictionary()  # of the sessions whose callbacks run now
_turns_changing = threading.Lock()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Lets what is in it come to its end; also a decorator."""
    _now.depth += 1
    try:
        yield
    finally:
        _now.depth -= 1


def _turn(state: SessionState) -> threading.RLock:
    """The lock that one session's scripts take in turn; it lasts as long as anyone has it."""
    with _turns_changing:
        return _turns.setdefault(id(state), threading.RLock())


def install() -> None:
    """From now on, in this process; asked again it does nothing."""
    prepare, heed = SessionState.on_script_will_rerun, ScriptRunner._maybe_handle_execution_control_request
    run = ScriptRunner._run_script
    if prepare.__module__ == __name__:
        return

    def prepare_in_turn(state: SessionState, *given: Any, **options: Any) -> None:
        """What the browser sent is taken in, and its callbacks run, once those of the script before are over."""
        with _turn(state), undisturbed():
            prepare(state, *given, **options)

    def heed_later(runner: ScriptRunner) -> None:
        if _now.depth == 0:
            heed(runner)

    def run_from_the_top(runner: ScriptRunner, *given: Any) -> None:
        context_dg_stack.set(get_default_dg_stack_value())
        run(runner, *given)

    SessionState.on_script_will_rerun = prepare_in_turn  # type: ignore[method-assign, assignment]
    ScriptRunner._maybe_handle_execution_control_request = heed_later  # type: ignore[method-assign, assignment]
    ScriptRunner._run_script = run_from_the_top  # type: ignore[method-assign, assignment]
