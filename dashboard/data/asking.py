"""Questions to the engine from a page: one at a time of each kind, watched while they go on, cancelled on
request; a page that is loaded again finds the import that goes on."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from core.errors import UserError, UserErrors
from core.files import remove_tree
from core.jobs import Job
from core.processes.workers import ensure_supervisor, supervisor
from core.questions.request import Request, request_of
from dashboard import engine_words, faults
from dashboard.i18n import known, say
from dashboard.session import forget, put_query, raw_query, recall, remember, workspace

POLL = 0.5  # seconds
MOMENT = 0.02  # seconds between two looks at what comes at once
ADDRESS = "working"  # the parameter that names the job a person waits for
WORK = "data.work"  # the slot of what a person asked for: an import, a change, a download


@dataclass(frozen=True)
class Asked:
    """A question under way: the job's id, what was asked, and since when."""

    job: str
    request: Request[Any]
    since: float


@dataclass(frozen=True)
class Outcome:
    """What came of it: an answer, or why there is none, with details for a report; and how long it took in seconds."""

    asked: Asked
    answer: Any = None
    error: UserError | UserErrors | None = None
    details: str = ""
    seconds: float = 0.0


def begin(slot: str, request: Request[Any]) -> bool:
    """Asks, and starts whoever answers; False where that failed, which is told on this page."""
    try:
        ensure_supervisor(workspace())
        job = workspace().ask(request)
    except (OSError, RuntimeError) as error:
        faults.refused(faults.not_done(error), str(error))
        return False
    remember(slot, Asked(job.id, request, time.time()))
    if slot == WORK:
        put_query(ADDRESS, job.id)
    return True


def attended() -> bool:
    """Whether somebody is there who answers: only then is asked what nobody pressed a button for."""
    return supervisor(workspace()) is not None


def asked(slot: str) -> Asked | None:
    """What is under way."""
    found: Asked | None = recall(slot, None)
    return found


def adopt() -> None:
    """Takes up what the address names, after the page was loaded again."""
    name = raw_query(ADDRESS)
    if name is None or asked(WORK) is not None:
        return
    try:
        job = workspace().job(name)
        remember(WORK, Asked(name, request_of(job), time.time()))
    except (UserError, OSError, ValueError, KeyError):  # it is over and was cleared away
        put_query(ADDRESS, None)


def outcome(slot: str) -> Outcome | None:
    """What came of the question, once; None while it goes on, and where none was asked."""
    now = asked(slot)
    if now is None:
        return None
    job = _job(now.job)
    if job is not None and not job.done():
        return None
    forget(slot)
    if slot == WORK:
        put_query(ADDRESS, None)
    return _outcome(now, job)


def _outcome(now: Asked, job: Job | None) -> Outcome:
    found = Outcome(now, seconds=time.time() - now.since)
    if job is None:
        return replace(found, error=UserError("unknown_job", "job", now.job, "an answer that is still kept", ""))
    try:
        found = replace(found, answer=now.request.answer_from_document(job.result()))
    except (UserError, UserErrors) as error:
        found = replace(found, error=error, details=job.details())
    with suppress(OSError):  # else the supervisor tidies up
        remove_tree(job.folder)
    return found


def wait_for(slot: str, seconds: float) -> None:
    """Waits so long for an answer that comes at once, as one does that a person looks at before the page goes on."""
    now = asked(slot)
    until = time.monotonic() + seconds
    while now is not None and time.monotonic() < until:
        job = _job(now.job)
        if job is None or job.done():
            return
        time.sleep(MOMENT)


def watch(slot: str, *, quiet: bool = False) -> None:
    """How far it is, again and again; the whole page once it is over. `quiet` shows no sentence and no Cancel."""
    if asked(slot) is None:
        return

    def look() -> None:
        now = asked(slot)
        job = _job(now.job) if now is not None else None
        if now is None or job is None or job.done():
            st.rerun()
        elif not quiet:
            _progress(slot, job)

    st.fragment(look, run_every=POLL)()


def _progress(slot: str, job: Job) -> None:
    far = job.progress()
    with st.container(border=True, key=f"{slot.replace('.', '_')}_progress"):
        st.progress(min(1.0, far.done / far.total) if far and far.total else 0.0, told(job))
        if st.button(
            say("data.cancelling") if job.cancel_requested() else say("data.cancel"),
            key=f"{slot}_cancel",
            icon=":material/stop_circle:",
            disabled=job.cancel_requested(),
        ):
            job.cancel()
            st.rerun(scope="fragment")


def told(job: Job) -> str:
    """What is being done and how far it is, in words."""
    far = job.progress()
    if far is None:
        return say("data.waiting")
    what = known(f"data.doing_{far.what.replace(' ', '_')}", engine_words.told(far.what))
    if far.what.startswith("downloading "):
        what = say("data.doing_download")
        return say("data.progress_bytes", what=what, done=f"{far.done / 1e6:.1f}", total=f"{far.total / 1e6:.1f}")
    if not far.total:
        return say("data.progress_open", what=what, done=f"{far.done:,}")
    return say("data.progress", what=what, done=f"{far.done:,}", total=f"{far.total:,}")


def _job(name: str) -> Job | None:
    try:
        return workspace().job(name)
    except (UserError, OSError):
        return None
