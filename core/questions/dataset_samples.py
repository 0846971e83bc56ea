"""Request: sample images of datasets for display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Samples:
    """The datasets that now have a strip of samples in the cache."""

    datasets: list[str]


@dataclass(frozen=True)
class SamplesRequest(Request[Samples]):
    """Makes a strip of samples for each of these datasets on this machine; see
    core.workspace_files.report_cache.kept_picture."""

    kind: ClassVar[str] = "dataset_samples"
    overtaken: ClassVar[bool] = True

    datasets: list[str]
