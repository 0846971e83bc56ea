"""Sending requests to the engine from a process without torch."""

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
CHECK = 2.0  # seconds between two checks that some process will answer
GRACE = 5.0  # seconds a worker may take to notice the cancellation


def ask(workspace: Workspace, request: Request[A], on_wait: Callable[[Job], None] = lambda job: None) -> A:
    """The answer to a request, from the supervisor's worker if there is one, otherwise from a worker of our own.

    `on_wait` is called repeatedly while waiting, to show what the job reports meanwhile. Raises the UserError or
    UserErrors the job ended with, RuntimeError if the worker died, OSError if the disk is full. Leaves nothing in the
    workspace; Ctrl-C cancels the job.
    """
    job = workspace.ask(request)
    try:
        if supervisor(workspace) is None or not _wait(workspace, job, on_wait):
            _answer_here(workspace, job, on_wait)
        on_wait(job)
        return request.answer_from_document(job.result())
    finally:
        with suppress(OSError):  # it is tidied up later
            remove_tree(job.folder)


def _wait(workspace: Workspace, job: Job, on_wait: Callable[[Job], None]) -> bool:
    """Waits for the supervisor's worker; False if both have ended without an answer."""
    check = time.monotonic() + CHECK
    try:
        while not job.done():
            on_wait(job)
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
        while not job.done() and time.monotonic() < until:  # the worker must read the flag before the folder is removed
            time.sleep(POLL)
        raise


def _answer_here(workspace: Workspace, job: Job, on_wait: Callable[[Job], None]) -> None:
    worker = start_worker(workspace.logs)
    try:
        worker.give_job(job)
        worker.dismiss()
        while not job.done():
            if not worker.alive() and not job.done():
                job.prove_space()
                raise RuntimeError(f"the worker ended without an answer:\n{_tail(worker.log)}")
            on_wait(job)
            time.sleep(POLL)
        worker.process.wait()
    except KeyboardInterrupt:
        job.cancel()
        until = time.monotonic() + GRACE
        while worker.alive() and not job.done() and time.monotonic() < until:  # it may need to clean up
            time.sleep(POLL)
        end(worker.who)
        raise
    remove_file(worker.log)


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
