"""A published dataset, downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Fetched:
    """The set that is on this machine now."""

    dataset: str


@dataclass(frozen=True)
class FetchRequest(Request[Fetched]):
    """The published set `dataset` put on this machine, so that a run need not."""

    kind: ClassVar[str] = "dataset_fetch"
    overtaken: ClassVar[bool] = True

    dataset: str
