"""A network that a person trained, as a backbone among the others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class ImportedNetwork:
    """What became of the file: `model` is the name to use it by, `classes` and `size` are counts and pixels a side;
    `named`, whether `labels` are a person's; `bytes` of the weights as they are kept; `notes` what to know of it."""

    model: str
    backbone: str
    classes: int
    size: int
    labels: list[str]
    named: bool
    mean: list[float]
    std: list[float]
    crop: float
    params: int
    macs: int
    bytes: int
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ImportNetworkRequest(Request[ImportedNetwork]):
    """The weights in the file at `path` as a network of the architecture `backbone`, to be called `own/` and `name`.

    `labels` are its classes in the order of its outputs. `mean` and `std` (for pixels from 0 to 1, one value or one a
    channel), `size` (pixels a side) and `crop` (share of a picture's side that it sees) are those it was trained with;
    empty and 0 take the backbone's own.
    """

    kind: ClassVar[str] = "import_network"
    overtaken: ClassVar[bool] = True

    path: str
    backbone: str
    name: str
    labels: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: int = 0
    crop: float = 0.0
