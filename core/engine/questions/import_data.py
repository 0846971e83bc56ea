"""An import, as a question: how far it is, and a rest between two files."""

from __future__ import annotations

import time
from pathlib import Path

from core.engine.context import CancelledError
from core.engine.data import import_data
from core.engine.data.imports.class_folders import Wishes
from core.jobs import Job
from core.questions.import_data import Imported, ImportRequest
from core.uploads import drop
from core.workspace import Workspace

INTERVAL = 0.2  # seconds between two reports of a job that goes from file to file


def answer(request: ImportRequest, job: Job) -> Imported:
    """What became of the files. Raises UserError where the whole is refused, CancelledError when asked to stop."""
    imported = import_data(
        Path(request.path), request.name, job.workspace / "datasets", side=request.side or 0,
        wishes=Wishes(request.classes_from, request.splits, request.merge, request.group_by), shape=request.shape,
        encoding=request.encoding or None, progress=Telling(job),
    )  # fmt: skip
    drop(Workspace(job.workspace), Path(request.path))
    return imported


class Telling:
    """Progress of a job that goes from file to file: written down now and then, with a rest for quick questions and a
    look whether it was cancelled. Raises CancelledError."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._next = 0.0
        self._what = ""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if time.monotonic() < self._next and what == self._what and done != total:
            return
        if self.job.cancel_requested() or not self.job.folder.is_dir():  # whoever asked may have gone
            raise CancelledError
        self.job.tell(done, total or 0, what)
        self.job.rest()
        self._next, self._what = time.monotonic() + INTERVAL, what
