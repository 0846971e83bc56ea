"""Properties of a run's test images by which right answers are counted apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Traits:
    """Of each test image in the stored order: `brightness`, its mean luminance from 0 to 1 as the network is given it,
    and of a person's own set the shorter `side` in pixels as stored, which is at most 512; else none."""

    brightness: tuple[float, ...]
    side: tuple[int, ...] = ()


@dataclass(frozen=True)
class TraitsRequest(Request[Traits]):
    """The properties of the test images of `run`."""

    kind: ClassVar[str] = "traits"
    overtaken: ClassVar[bool] = True

    run: str
