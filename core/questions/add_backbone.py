"""A network of timm that the catalog does not list, to be known in a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class AddedBackbone:
    """Its facts, as an entry of the catalog of backbones."""

    facts: dict[str, Any]


@dataclass(frozen=True)
class AddBackboneRequest(Request[AddedBackbone]):
    """The network `name`, `timm/<architecture>.<weights>`, counted and kept; no weights are fetched."""

    kind: ClassVar[str] = "add_backbone"

    name: str
