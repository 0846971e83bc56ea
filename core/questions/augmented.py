"""What augmentation makes of a person's images, before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Augmented:
    """Two rows of the same `images` as PNG in base64: as they are, and as the first batch of training holds them."""

    images: int
    before: str
    after: str


@dataclass(frozen=True)
class AugmentedRequest(Request[Augmented]):
    """The first images that the step `step` (from 0) of a recipe, given as TOML, will train on."""

    kind: ClassVar[str] = "augmented"
    overtaken: ClassVar[bool] = True

    recipe: str
    step: int
