"""Request: import a trained network as a backbone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class ImportedNetwork:
    """The imported network: `model` is the name to use it by, `classes` a count, `size` in pixels a side; `named`:
    whether a person gave the `labels`; `bytes` is the size of the stored weights; `notes` are remarks for the
    person."""

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
        """As in the commands' JSON output."""
        return asdict(self)


@dataclass(frozen=True)
class ImportNetworkRequest(Request[ImportedNetwork]):
    """Imports the weights at `path` as a network of the architecture `backbone`, called `own/` followed by `name`.

    `labels` are its classes in the order of its outputs. `mean` and `std` (for pixels from 0 to 1, one value or one per
    channel), `size` (pixels a side) and `crop` (share of a side kept by the centre crop) are those it was trained with;
    empty or 0 takes the backbone's own.
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
