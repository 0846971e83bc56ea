"""Answers requests to download a dataset."""

from __future__ import annotations

from core.engine.data.published.load import Published
from core.engine.data.sets import known_datasets
from core.engine.questions.import_data import Telling
from core.errors import UserError, nearest
from core.jobs import Job
from core.questions.dataset_fetch import Fetched, FetchRequest


def answer(request: FetchRequest, job: Job) -> Fetched:
    """Downloads the dataset; raises UserError if it is no published dataset or the download fails, CancelledError if
    the job is cancelled. Received bytes are kept."""
    published = {name: one for name, one in known_datasets().items() if isinstance(one, Published)}
    if request.dataset not in published:
        fix = nearest(request.dataset, published)
        raise UserError("unknown_dataset", "dataset", request.dataset, "a dataset to download", fix)
    wanted, folder = published[request.dataset], job.workspace / "datasets"
    if not wanted.info(folder).at_hand:
        wanted.bring(folder, Telling(job))
    return Fetched(request.dataset)
