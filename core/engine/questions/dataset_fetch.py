"""A download, as a question."""

from __future__ import annotations

from core.engine.data.published.load import fetch
from core.engine.data.published.sets import PUBLISHED
from core.engine.questions.import_data import Telling
from core.errors import UserError, nearest
from core.jobs import Job
from core.questions.dataset_fetch import Fetched, FetchRequest


def answer(request: FetchRequest, job: Job) -> Fetched:
    """Raises UserError on a set that is not to be downloaded and those of a download, CancelledError when asked to
    stop; what was received is kept."""
    if request.dataset not in PUBLISHED:
        raise UserError(
            "unknown_dataset", "dataset", request.dataset, "a dataset to download", nearest(request.dataset, PUBLISHED)
        )
    fetch(request.dataset, job.workspace / "datasets", Telling(job))
    return Fetched(request.dataset)
