"""A change to a person's own set of images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from core.dataset_edits import Edit
from core.questions.request import Request


@dataclass(frozen=True)
class Edited:
    """The set after a change: what it is called, its counts, its content hash and that of the version before; files of
    added images that were skipped."""

    dataset: str
    classes: int
    images: int
    version: str
    before: str
    skipped: list[dict[str, str]]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class EditRequest(Request[Edited]):
    """The set `dataset` changed by `edit`."""

    kind: ClassVar[str] = "dataset_edit"
    overtaken: ClassVar[bool] = True

    dataset: str
    edit: Edit
