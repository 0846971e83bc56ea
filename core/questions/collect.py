"""Hand-ins of a class, taken into the workspace: a folder of them, or one zip."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Taken:
    """A hand-in that was taken: its file, the id of its corner, whose it is, how many runs and points it has, who
    signed it (`here`, `elsewhere`, `nobody`), and the ids of its lessons."""

    file: str
    corner: str
    nickname: str
    runs: int
    points: int
    proof: str
    lessons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A file that was not taken, and why, as a UserError says it."""

    file: str
    code: str
    given: str
    allowed: str
    fix: str


@dataclass(frozen=True)
class Collected:
    """What became of each file."""

    taken: tuple[Taken, ...]
    refused: tuple[Refused, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CollectRequest(Request[Collected]):
    """The hand-ins in the folder `path`, or the one in the zip `path`; see `core.classroom.hand_in`."""

    kind: ClassVar[str] = "collect"
    overtaken: ClassVar[bool] = True

    path: str
