"""Request: change an imported dataset."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from core.own.dataset_edits import Edit
from core.questions.request import Request


@dataclass(frozen=True)
class Edited:
    """The dataset after a change: its name, its counts, its content hash (`version`) and that of the version `before`;
    `skipped` are added files that could not be used. The `classes` of an `unlabelled` set are those of its labelled
    images."""

    dataset: str
    classes: int
    images: int
    version: str
    before: str
    skipped: list[dict[str, str]]
    warnings: list[str]
    unlabelled: bool = False

    def to_json(self) -> dict[str, Any]:
        """As in the commands' JSON output."""
        return asdict(self)


@dataclass(frozen=True)
class EditRequest(Request[Edited]):
    """Applies `edit` to the dataset `dataset`."""

    kind: ClassVar[str] = "dataset_edit"
    overtaken: ClassVar[bool] = True

    dataset: str
    edit: Edit
