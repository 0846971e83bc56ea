"""The address that a browser tells may be that of a moment ago.

A press tells the server the address as the browser shows it, and what the server wrote into it may still be on its
way. Pages read what they show from the address: the fourth of four ticks came with the address of two, and the third
tick was gone. So for a moment after a script has written an address, those before it are taken for that one. What a
person chooses is not meant: Back and Forward say so themselves, a link to another page names the page, and an address
that was not there a moment ago is new.

`install` wraps two methods of the version in constraints.txt.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

MOMENT = 3.0  # seconds after a script's end in which a browser may not have its address yet

MOST_VISITS = 1000


@dataclass
class Written:
    """Addresses of one visit: those of the last moment, the newest last; the page they are of; when the last script
    ended, in seconds of a clock that goes on, infinite while one runs."""

    page: str = ""
    recent: list[str] = field(default_factory=list)
    ended: float = 0.0

    def meant(self, told: str, page: str, now: float, *, went_back: bool) -> str:
        """The address that is meant by what the browser `told`."""
        if self.recent and _same(told, self.newest):
            self.page = page  # the page a visit begins with is named only by its next message
            return told
        late = any(_same(told, one) for one in self.recent)
        if late and page == self.page and now - self.ended <= MOMENT and not went_back:
            return self.newest
        self.page, self.recent = page, [told]
        return told

    @property
    def newest(self) -> str:
        return self.recent[-1] if self.recent else ""

    def write(self, address: str) -> None:
        """A script has put that into the browser's address."""
        if not _same(address, self.newest):
            self.recent.append(address)


_visits: OrderedDict[str, Written] = OrderedDict()  # by the visit's id, the latest last
_changing = threading.Lock()


def _of(visit: str) -> Written:
    """Those of a visit, which has a thread after another; visits of long ago are forgotten."""
    with _changing:
        found = _visits.setdefault(visit, Written())
        _visits.move_to_end(visit)
        if len(_visits) > MOST_VISITS:
            _visits.popitem(last=False)
        return found


def wrote() -> None:
    """To be called after a page has changed the address."""
    now = get_script_run_ctx(suppress_warning=True)
    if now is not None:
        _of(now.session_id).write(now.query_string)


def install() -> None:
    """From now on, in this process; asked again it does nothing."""
    run, reset = ScriptRunner._run_script, ScriptRunContext.reset
    if reset.__module__ == __name__:
        return

    def run_and_remember_the_end(runner: ScriptRunner, data: RerunData) -> None:
        try:
            run(runner, data)
        finally:
            _of(runner._session_id).ended = time.monotonic()

    def reset_to_what_is_meant(context: ScriptRunContext, *given: Any, **more: Any) -> None:
        """Begins a script, also one that takes the place of another amid it."""
        visit = _of(context.session_id)
        told, page, went_back = more["query_string"], more["page_script_hash"], more["is_history_navigation"]
        more["query_string"] = visit.meant(told, page, time.monotonic(), went_back=went_back)
        visit.ended = math.inf  # until it has
        reset(context, *given, **more)

    ScriptRunner._run_script = run_and_remember_the_end  # type: ignore[method-assign, assignment]
    ScriptRunContext.reset = reset_to_what_is_meant  # type: ignore[method-assign, assignment]


def _same(one: str, other: str) -> bool:
    """Whether two addresses say the same, however they are written."""
    return sorted(parse_qsl(one, keep_blank_values=True)) == sorted(parse_qsl(other, keep_blank_values=True))
