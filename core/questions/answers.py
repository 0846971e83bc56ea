"""What saved models answer to every validation and test image of their run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Answers:
    """The points whose answers are kept now (`core.run_files.answers`), and how many of them were already."""

    points: tuple[str, ...]
    cached: int = 0


@dataclass(frozen=True)
class AnswersRequest(Request[Answers]):
    """The answers of the files of these points, each named as by `core.run_files.sides.Side.id`."""

    kind: ClassVar[str] = "answers"
    overtaken: ClassVar[bool] = True

    points: tuple[str, ...]
