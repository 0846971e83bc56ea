"""Request: report on an imported dataset before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.own.dataset_report import Report
from core.questions.request import Request


@dataclass(frozen=True)
class ReportRequest(Request[Report]):
    """Reports on the dataset `dataset`; its images are compared with each other once per version."""

    kind: ClassVar[str] = "dataset_report"
    overtaken: ClassVar[bool] = True

    dataset: str
