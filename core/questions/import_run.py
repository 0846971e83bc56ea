"""A run that another workspace sent as a zip, as a run of this one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class ImportedRun:
    """The run as it is here: its id, its name, how many points it has and how many bytes it takes."""

    run: str
    name: str
    points: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ImportRunRequest(Request[ImportedRun]):
    """The run in the zip at `path`; see `core.run_files.parcel`."""

    kind: ClassVar[str] = "import_run"
    overtaken: ClassVar[bool] = True

    path: str
