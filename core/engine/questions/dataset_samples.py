"""Answers requests for samples of datasets."""

from __future__ import annotations

from core.engine.questions.dataset_report import dataset_samples
from core.engine.questions.import_data import Telling
from core.jobs import Job
from core.questions.dataset_samples import Samples, SamplesRequest


def answer(request: SamplesRequest, job: Job) -> Samples:
    """The datasets with samples; raises CancelledError if the job is cancelled."""
    return Samples(dataset_samples(request.datasets, job.workspace, Telling(job)))
