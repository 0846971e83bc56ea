"""Request: download a published dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Fetched:
    """The dataset that is now on this machine."""

    dataset: str


@dataclass(frozen=True)
class FetchRequest(Request[Fetched]):
    """Downloads the published dataset `dataset` before any run needs it."""

    kind: ClassVar[str] = "dataset_fetch"
    overtaken: ClassVar[bool] = True

    dataset: str
