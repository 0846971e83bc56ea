"""Answers requests to import images or texts, with progress and pauses for quick jobs."""

from __future__ import annotations

import time
from pathlib import Path

from core.engine.context import CancelledError
from core.engine.data import import_data
from core.engine.data.imports.class_folders import Wishes
from core.jobs import Job
from core.questions.import_data import Imported, ImportRequest
from core.workspace import Workspace
from core.workspace_files.uploads import drop

INTERVAL = 0.2  # seconds between two progress reports


def answer(request: ImportRequest, job: Job) -> Imported:
    """The result; raises UserError if the import is refused, CancelledError if the job is cancelled."""
    imported = import_data(
        Path(request.path),
        request.name,
        job.workspace / "datasets",
        side=request.side or 0,
        wishes=Wishes(request.classes_from, request.splits, request.merge, request.group_by),
        shape=request.shape,
        encoding=request.encoding or None,
        unlabelled=request.unlabelled,
        every=request.every,
        progress=Telling(job),
    )
    drop(Workspace(job.workspace), Path(request.path))
    return imported


class Telling:
    """The progress function of a job that works file by file: now and then it reports progress, lets quick jobs pass
    and checks for cancellation. Raises CancelledError."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._next = 0.0
        self._what = ""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if time.monotonic() < self._next and what == self._what and done != total:
            return
        if self.job.cancel_requested() or not self.job.folder.is_dir():  # the process that asked may have removed it
            raise CancelledError
        self.job.tell(done, total or 0, what)
        self.job.rest()
        self._next, self._what = time.monotonic() + INTERVAL, what
