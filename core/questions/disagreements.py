"""The test images on which saved models disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request

MOST_SHOWN = 48  # images that come with the answer


@dataclass(frozen=True)
class Guess:
    """What a model takes an image for: the place of the class, and its probability."""

    index: int
    probability: float


@dataclass(frozen=True)
class Disputed:
    """A test image by its place in the split: its class, what each model takes it for, and the picture as PNG, in
    base64."""

    place: int
    label: int
    guesses: tuple[Guess, ...]
    picture: str


@dataclass(frozen=True)
class Disagreements:
    """On `disagreed` of `images` test images the models do not all answer the same; the first of them, those on which
    the models are surest first. `points` are the models that were compared: the others answer to other classes, or
    cannot be opened."""

    classes: tuple[str, ...] = ()
    images: int = 0
    disagreed: int = 0
    shown: tuple[Disputed, ...] = ()
    points: tuple[str, ...] = ()


@dataclass(frozen=True)
class DisagreementsRequest(Request[Disagreements]):
    """The models of `points`, on the test images of the first one's run."""

    kind: ClassVar[str] = "disagreements"
    overtaken: ClassVar[bool] = True

    points: tuple[str, ...]
