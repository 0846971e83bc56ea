"""What saved models answer to a picture: probabilities, and the time that each takes here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request

MOST_POINTS = 8  # models asked at once


@dataclass(frozen=True)
class Answering:
    """A saved model that was asked: its classes in the order of its answers, and the median of `n` runs with one
    picture in milliseconds, on `threads` threads of `runtime`; `noisy`: the machine was busy meanwhile. Or the error
    that kept it from answering."""

    classes: tuple[str, ...] = ()
    milliseconds: float | None = None
    n: int = 0
    threads: int = 0
    runtime: str = ""
    noisy: bool = False
    refused: dict[str, str] | None = None


@dataclass(frozen=True)
class Answer:
    """The probabilities of one model for one picture, a class each; `seen` is the picture as the model is given it: a
    PNG, in base64."""

    probabilities: tuple[float, ...]
    seen: str = ""


@dataclass(frozen=True)
class Picture:
    """The answers to one picture, a model each, None of one that was refused; or the `reason` why it is no picture."""

    answers: tuple[Answer | None, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Classified:
    """The models that were asked, and every picture, in the order given."""

    models: tuple[Answering, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class ClassifyRequest(Request[Classified]):
    """One picture for several saved models, each named as by `core.run_files.sides.Side.id`: the only file of `upload`
    (see core.workspace_files.uploads), which is removed as soon as it is read, or a test image by its place among those
    kept beside the first model's file."""

    kind: ClassVar[str] = "classify"

    points: tuple[str, ...]
    upload: str = ""
    sample: int = 0
