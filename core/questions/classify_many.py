"""What saved models answer to many pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.classify import Classified
from core.questions.request import Request

MOST_PICTURES = 1_000


@dataclass(frozen=True)
class ClassifyManyRequest(Request[Classified]):
    """The pictures of `upload` (see core.workspace_files.uploads), in its order, for several saved models; it is
    removed as soon as it is read."""

    kind: ClassVar[str] = "classify_many"
    overtaken: ClassVar[bool] = True

    points: tuple[str, ...]
    upload: str
