"""Request: import images or texts as a dataset."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Imported:
    """The result of an import. `dataset` is the name to load it by; `classes` and `images` are counts.

    `ignored` counts hidden and system files by their names; `folders` lists each folder of the class level (folder,
    class, split, images, reason); `shape` and `white` say how pictures become images (see Cut); `encoding` is that of a
    table, or of names in a zip that do not state theirs. An `unlabelled` set has no classes.
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
    unlabelled: bool = False

    def to_json(self) -> dict[str, Any]:
        """As in the commands' JSON output."""
        return asdict(self)


@dataclass(frozen=True)
class ImportRequest(Request[Imported]):
    """Imports the folder, zip or table at `path` as the dataset `name`. `side` is for texts, in pixels (0 or None: 96).

    `classes_from` is '' (find the level), `top`, `inner` or the number of a folder level from 1; `splits`: whether
    folders may be splits; `merge`: whether classes with similar names become one; `shape`: how pictures become square
    (crop, pad or stretch); `encoding`: of a table or of the names in a zip, guessed if empty.
    `group_by`: files of a class whose names agree up to the last such text share a split; `unlabelled`: no image has a
    class; `every`: of a video, one frame in so many seconds.
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
    unlabelled: bool = False
    every: float = 1.0
