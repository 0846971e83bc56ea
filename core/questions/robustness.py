"""How often saved models are right on corrupted test images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request

LIMIT = 200  # test images; 0 takes all


@dataclass(frozen=True)
class Corrupted:
    """`right` of the answers of a point under a corruption at a severity; severity 0 is without any."""

    point: str
    corruption: str
    severity: int
    right: int


@dataclass(frozen=True)
class Robustness:
    """The rows so far, on so many test `images`, the same for all points; `cached`: whether none was new."""

    rows: tuple[Corrupted, ...] = ()
    images: int = 0
    cached: bool = False


@dataclass(frozen=True)
class RobustnessRequest(Request[Robustness]):
    """The points (`core.run_files.sides.Side.id`) under every corruption and severity, on at most `limit` test images
    (0: all), the same share of each class."""

    kind: ClassVar[str] = "robustness"
    overtaken: ClassVar[bool] = True

    points: tuple[str, ...]
    limit: int = LIMIT
