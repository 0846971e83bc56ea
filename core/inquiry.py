"""Asking the engine something from a process without torch, and what can be read without asking."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from core.catalog import Facts
from core.datasets import CARD
from core.files import remove_tree
from core.jobs import Document, Job
from core.launcher import start_worker, supervisor
from core.sealed import read_sealed
from core.workspace import Workspace

POLL = 0.05  # seconds
GRACE = 5.0  # seconds that a worker may take to notice that nobody waits any more


def ask(
    workspace: Workspace, kind: str, request: dict[str, JsonValue], look: Callable[[Job], None] = lambda job: None
) -> Document:
    """The answer to a question, from the supervisor's worker if there is one, else from a worker of our own.

    `look` is called again and again while one waits, for what the job tells meanwhile. Raises the UserError it ended
    with, RuntimeError if the worker died. Leaves nothing in the workspace; Ctrl-C takes the question back.
    """
    job = workspace.create_job(kind, request)
    try:
        if supervisor(workspace) is None:
            _answer_here(workspace, job, look)
        else:
            _wait(job, look)
        look(job)
        return job.result()
    finally:
        remove_tree(job.folder)


def _wait(job: Job, look: Callable[[Job], None]) -> None:
    """Until the supervisor's worker has answered."""
    try:
        while not job.done():
            look(job)
            time.sleep(POLL)
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
                raise RuntimeError(f"the worker ended without an answer:\n{_tail(worker.log)}")
            look(job)
            time.sleep(POLL)
        worker.process.wait()
    except KeyboardInterrupt:
        worker.process.terminate()
        raise
    worker.log.unlink(missing_ok=True)


def imported_datasets(workspace: Workspace) -> dict[str, Facts]:
    """The data sets a person imported, by name, with classes and counts; damaged ones are left out."""
    found: dict[str, Facts] = {}
    for path in sorted(workspace.datasets.glob("own-*/dataset.json")):
        try:
            card = json.loads(read_sealed(path))
            found[card["name"]] = {
                "name": card["name"], "title": card["name"], "classes": len(card["classes"]),
                "images": len(card["images"]), "where": "own",
            }  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def damaged_datasets(workspace: Workspace) -> list[Path]:
    """The folders of imported data sets whose labels cannot be read, and which no list shows therefore."""
    found = []
    for home in sorted(workspace.datasets.glob("own-*")):
        try:
            read_sealed(home / CARD)
        except (OSError, ValueError):
            found.append(home)
    return found


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
