"""Which backbones' weights are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class WeightsHere:
    """Those of the asked whose weights need no network."""

    backbones: list[str]


@dataclass(frozen=True)
class WeightsHereRequest(Request[WeightsHere]):
    """Of these `backbones`."""

    kind: ClassVar[str] = "weights_here"

    backbones: tuple[str, ...]
