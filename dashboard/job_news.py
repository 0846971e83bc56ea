"""What a job has told by now: its answer as far as it has come, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from core.errors import UserError, UserErrors
from core.questions.request import Request
from dashboard.session import workspace

A = TypeVar("A")


@dataclass(frozen=True)
class News(Generic[A]):
    """`answer` is None as long as nothing has come, and where it ended with an `error`; `details` are for a report."""

    answer: A | None = None
    over: bool = False
    error: UserError | UserErrors | None = None
    details: str = ""


def news(job_id: str, request: type[Request[A]]) -> News[A]:
    """What the job, which answers a question of this kind, has told."""
    try:
        job = workspace().job(job_id)
    except UserError as error:
        return News(over=True, error=error)
    try:
        over = job.done()
        document = job.result() if over else job.partial()
        return News(request.answer_from_document(document) if document is not None else None, over)
    except (UserError, UserErrors) as error:
        return News(over=True, error=error, details=job.details())
