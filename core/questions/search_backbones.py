"""Which networks timm has whose names hold some words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class FoundBackbone:
    """A name, the pixels a side and the classes of its weights (0: none), and the licence that timm states."""

    name: str
    image_size: int
    classes: int
    licence: str


@dataclass(frozen=True)
class FoundBackbones:
    """The first of `total` names, in timm's order."""

    total: int
    rows: list[FoundBackbone]


@dataclass(frozen=True)
class SearchBackbonesRequest(Request[FoundBackbones]):
    """At most `limit` classifiers of timm whose names hold every word of `text`."""

    kind: ClassVar[str] = "search_backbones"

    text: str
    limit: int = 50
