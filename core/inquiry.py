"""Asking the engine something from a process without torch, and what can be read without asking."""

from __future__ import annotations

import json
import time
from pathlib import Path

from pydantic import JsonValue

from core.catalog import Facts
from core.files import remove_tree
from core.jobs import Document, Job
from core.launcher import start_worker, supervisor
from core.workspace import Workspace

POLL = 0.05  # seconds


def ask(workspace: Workspace, kind: str, request: dict[str, JsonValue]) -> Document:
    """The answer to a question, from the supervisor's worker if there is one, else from a worker of our own.

    Raises the UserError it ended with, RuntimeError if the worker died. Leaves nothing in the workspace.
    """
    job = workspace.create_job(kind, request)
    try:
        if supervisor(workspace) is None:
            _answer_here(workspace, job)
        else:
            while not job.done():
                time.sleep(POLL)
        return job.result()
    finally:
        remove_tree(job.folder)


def _answer_here(workspace: Workspace, job: Job) -> None:
    worker = start_worker(workspace.logs)
    try:
        worker.give_job(job)
        worker.dismiss()
        while not job.done():
            if not worker.alive() and not job.done():
                raise RuntimeError(f"the worker ended without an answer:\n{_tail(worker.log)}")
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
            card = json.loads(path.read_bytes())
            found[card["name"]] = {
                "name": card["name"], "title": card["name"], "classes": len(card["classes"]),
                "images": len(card["images"]), "where": "own",
            }  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
