"""Images of a run's dataset by their places, to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from core.questions.request import Request

MOST = 60  # images of one question
Split = Literal["validation", "test", "target"]


@dataclass(frozen=True)
class Pictures:
    """How many are kept now; see core.workspace_files.pictures.kept_picture."""

    images: int


@dataclass(frozen=True)
class PicturesRequest(Request[Pictures]):
    """The images at `places` of a split, counted from 0 in the stored order, at most MOST, as the run `run` saw
    them. Those of the `target` are its test images, or else those without labels."""

    kind: ClassVar[str] = "pictures"

    run: str
    split: Split
    places: tuple[int, ...]
