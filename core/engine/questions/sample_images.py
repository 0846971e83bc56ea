"""Images that are drawn, as a question."""

from __future__ import annotations

from core.engine.data.imports.sample_photos import import_sample_photos
from core.engine.questions.import_data import Telling
from core.jobs import Job
from core.questions.import_data import Imported
from core.questions.sample_images import SampleImagesRequest


def answer(request: SampleImagesRequest, job: Job) -> Imported:
    """Raises UserError on a bad name, CancelledError when asked to stop."""
    return import_sample_photos(request.name, job.workspace / "datasets", Telling(job))
