"""What is known of a person's own set before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.dataset_report import Report
from core.questions.request import Request


@dataclass(frozen=True)
class ReportRequest(Request[Report]):
    """The report on the set `dataset`, whose images are compared with each other once a version."""

    kind: ClassVar[str] = "dataset_report"
    overtaken: ClassVar[bool] = True

    dataset: str
