"""A few images of each dataset, to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Samples:
    """The sets that have a strip of samples in the cache now."""

    datasets: list[str]


@dataclass(frozen=True)
class SamplesRequest(Request[Samples]):
    """A strip of samples for each of these sets that is on this machine; see core.dataset_report.kept_picture."""

    kind: ClassVar[str] = "dataset_samples"
    overtaken: ClassVar[bool] = True

    datasets: list[str]
