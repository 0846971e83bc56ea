"""A person's own images or texts as a dataset."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Imported:
    """What became of a folder or zip. `dataset` is the name to load it by; `classes` and `images` are counts.

    `ignored` counts hidden and system files by the name that says so; `folders` account for each folder of the class
    level (folder, class, split, images, reason); `shape` and `white` are how pictures become images (see Cut);
    `encoding` is that of a table, or of a zip's unmarked names.
    """

    dataset: str
    classes: int
    images: int
    skipped: list[dict[str, str]]
    warnings: list[str]
    ignored: dict[str, int] = field(default_factory=dict)
    folders: list[dict[str, str | int]] = field(default_factory=list)
    shape: str = "crop"
    white: int = 65535
    encoding: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ImportRequest(Request[Imported]):
    """The folder, zip or table at `path` as the dataset `name`. `side` is of texts, in pixels (0 or None: 96).

    `classes_from` is '' (find the level), `top`, `inner` or the number of a folder level from 1; `splits`, whether
    folders may mean splits; `merge`, join class names that are alike; `shape`, how pictures become square: crop, pad or
    stretch; `encoding`, of a table or a zip's names, guessed where it is empty.
    `group_by`: files of a class whose names agree up to the last such text share a split.
    """

    kind: ClassVar[str] = "import"
    overtaken: ClassVar[bool] = True

    path: str
    name: str
    side: int | None = None
    classes_from: str = ""
    splits: bool = True
    merge: bool = False
    shape: str = "crop"
    encoding: str | None = ""
    group_by: str = ""
