"""Asking the engine something from a process without torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.files import remove_file, remove_tree
from core.jobs import Job
from core.processes.process import end
from core.processes.workers import alive, read_identity, start_worker, supervisor
from core.questions.request import A, Request
from core.workspace import Workspace

POLL = 0.05  # seconds
CHECK = 2.0  # seconds between two looks whether somebody will answer at all
GRACE = 5.0  # seconds that a worker may take to notice that nobody waits any more


def ask(workspace: Workspace, request: Request[A], look: Callable[[Job], None] = lambda job: None) -> A:
    """The answer to a question, from the supervisor's worker if there is one, else from a worker of our own.

    `look` is called again and again while one waits, for what the job reports meanwhile. Raises the UserError or
    UserErrors it ended with, RuntimeError if the worker died, OSError if the disk takes no answer. Leaves nothing in
    the workspace; Ctrl-C takes the question back.
    """
    job = workspace.ask(request)
    try:
        if supervisor(workspace) is None or not _wait(workspace, job, look):
            _answer_here(workspace, job, look)
        look(job)
        return request.answer_from_document(job.result())
    finally:
        with suppress(OSError):  # it is tidied up later
            remove_tree(job.folder)


def _wait(workspace: Workspace, job: Job, look: Callable[[Job], None]) -> bool:
    """Until the supervisor's worker has answered; False if it has ended, and the worker too, without an answer."""
    check = time.monotonic() + CHECK
    try:
        while not job.done():
            look(job)
            time.sleep(POLL)
            if time.monotonic() > check and not alive(read_identity(job.worker)) and not job.done():
                if supervisor(workspace) is None:
                    return False
                job.prove_space()
                check = time.monotonic() + CHECK
        return True
    except KeyboardInterrupt:
        job.cancel()
        until = time.monotonic() + GRACE
        while not job.done() and time.monotonic() < until:  # the worker reads the flag before the folder goes
            time.sleep(POLL)
        raise


def _answer_here(workspace: Workspace, job: Job, look: Callable[[Job], None]) -> None:
    worker = start_worker(workspace.logs)
    try:
        worker.give_job(job)
        worker.dismiss()
        while not job.done():
            if not worker.alive() and not job.done():
                job.prove_space()
                raise RuntimeError(f"the worker ended without an answer:\n{_tail(worker.log)}")
            look(job)
            time.sleep(POLL)
        worker.process.wait()
    except KeyboardInterrupt:
        job.cancel()
        until = time.monotonic() + GRACE
        while worker.alive() and not job.done() and time.monotonic() < until:  # it may have something to clear away
            time.sleep(POLL)
        end(worker.who)
        raise
    remove_file(worker.log)


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
