"""Answers requests to change an imported dataset."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.imports.editing import edit_dataset
from core.engine.questions.import_data import Telling
from core.jobs import Job
from core.own.dataset_edits import AddImages
from core.questions.dataset_edit import Edited, EditRequest
from core.workspace import Workspace
from core.workspace_files.uploads import drop


def answer(request: EditRequest, job: Job) -> Edited:
    """The changed dataset; raises UserError if it cannot be changed, CancelledError if the job is cancelled."""
    edited = edit_dataset(request.dataset, request.edit, job.workspace / "datasets", Telling(job))
    if isinstance(request.edit, AddImages):
        drop(Workspace(job.workspace), Path(request.edit.path))
    return edited
