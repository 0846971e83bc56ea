"""Samples of datasets, as a question."""

from __future__ import annotations

from core.engine.questions.dataset_report import dataset_samples
from core.engine.questions.import_data import Telling
from core.jobs import Job
from core.questions.dataset_samples import Samples, SamplesRequest


def answer(request: SamplesRequest, job: Job) -> Samples:
    """Raises CancelledError when asked to stop."""
    return Samples(dataset_samples(request.datasets, job.workspace, Telling(job)))
