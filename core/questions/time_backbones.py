"""How long backbones take for an image on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.hardware.backbone_times import BackboneTime
from core.questions.request import Request


@dataclass(frozen=True)
class Untimed:
    """A backbone that could not be measured, with the reason."""

    backbone: str
    reason: str


@dataclass(frozen=True)
class BackboneTimes:
    """What was measured, in the order asked, and what could not be."""

    rows: list[BackboneTime]
    failed: list[Untimed]


@dataclass(frozen=True)
class TimeBackbonesRequest(Request[BackboneTimes]):
    """These `backbones` at their own image size with random weights, which take as long as others; kept one by one."""

    kind: ClassVar[str] = "time_backbones"
    overtaken: ClassVar[bool] = True

    backbones: tuple[str, ...]
