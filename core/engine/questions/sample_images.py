"""Answers requests for a dataset of drawn images."""

from __future__ import annotations

from core.engine.data.imports.sample_photos import import_sample_photos
from core.engine.questions.import_data import Telling
from core.jobs import Job
from core.questions.import_data import Imported
from core.questions.sample_images import SampleImagesRequest


def answer(request: SampleImagesRequest, job: Job) -> Imported:
    """The dataset; raises UserError on a bad name, CancelledError if the job is cancelled."""
    return import_sample_photos(request.name, job.workspace / "datasets", Telling(job))
