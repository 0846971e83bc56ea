"""How complex a backbone is, counted exactly and without its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Profile:
    """Parameters, multiply-accumulates an image and bytes of the weights at a side of `image_size` pixels."""

    backbone: str
    params: int
    macs: int
    bytes: int
    image_size: int


@dataclass(frozen=True)
class ProfileRequest(Request[Profile]):
    """A backbone's complexity, with so many `classes` and pixels a side; None for its own."""

    kind: ClassVar[str] = "profile"

    backbone: str
    classes: int | None = None
    image_size: int | None = None
