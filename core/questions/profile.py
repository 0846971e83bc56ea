"""Request: count the complexity of a backbone exactly, without its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Profile:
    """Parameters, multiply-accumulates per image and bytes of the weights, for images of `image_size` pixels a side."""

    backbone: str
    params: int
    macs: int
    bytes: int
    image_size: int


@dataclass(frozen=True)
class ProfileRequest(Request[Profile]):
    """Counts a backbone with so many `classes` and pixels a side (`image_size`); None takes its own."""

    kind: ClassVar[str] = "profile"

    backbone: str
    classes: int | None = None
    image_size: int | None = None
