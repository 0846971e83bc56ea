"""Networks that a person trained and imported: an architecture of the catalog with weights from the workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from core.engine.backbones.backbone import Backbone, Family, Progress
from core.errors import UserError
from core.models import PREFIX, StoredNetwork, facts, find_network

FAMILY = "own"


class Workspaces:
    """Where this process looks for own networks: a process works for one workspace, and says which."""

    folder: Path | None = None


def look_in(models: Path | None) -> None:
    """Own networks are from now on those in the folder `models` of a workspace; None: there are none."""
    Workspaces.folder = models


def stored(name: str) -> StoredNetwork:
    """The network called `name`, with `own/` before it; raises UserError `unknown_backbone` or `damaged_network`."""
    try:
        if Workspaces.folder is not None:
            return find_network(name, Workspaces.folder)
    except UserError as error:
        if error.code != "unknown_network":
            raise
        raise UserError("unknown_backbone", "backbone", name, error.allowed, error.fix) from None
    fix = "Import it into this workspace: condenser import-model."
    raise UserError("unknown_backbone", "backbone", name, "the name of a network that was imported", fix)


def content(names: Iterable[str]) -> str:
    """Names the weights of those of `names` that are own networks: one imported anew under an old name is another."""
    cards = [stored(name).card for name in dict.fromkeys(names) if name.startswith(PREFIX)]
    return ",".join(f"{card.sha256}:{card.size}:{card.crop}:{card.mean}:{card.std}:{card.classes}" for card in cards)


class Own(Family):
    """Own networks, built by the family of the architecture that each was trained in."""

    def catalog(self) -> list[Backbone]:
        """None that comes with the program: see `entry`."""
        return []

    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        base = _base(backbone.architecture)
        return _families()[base.family].architecture(base, classes, image_size, backbone.own_width, channels)

    def published(self, backbone: Backbone, classes: int, image_size: int, width: int) -> nn.Module:
        return self.architecture(backbone, classes, image_size, width, backbone.channels)

    def state(self, backbone: Backbone, folder: Path | None, progress: Progress | None) -> Mapping[str, Tensor]:
        network = stored(backbone.name)
        fix = f"Remove {backbone.name} (condenser remove-model) and import it again from its file."
        try:
            data = network.weights.read_bytes()
            if sha256(data).hexdigest() != network.card.sha256:
                raise UserError("damaged_network", "backbone", backbone.name, "the weights as they were imported", fix)
            return load(data)
        except (OSError, SafetensorError) as error:
            raise UserError("damaged_network", "backbone", backbone.name, "whole weights", fix) from error

    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        return stored(backbone.name).weights.is_file()

    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        return backbone.class_names

    def fit(self, state: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor]:
        """As each family does for its own: position embeddings stretched to another image size, old names."""
        for name, family in _families().items():
            state = state if name == FAMILY else family.fit(state, net)
        return state


def entry(name: str) -> Backbone:
    """The network called `name`, with `own/` before it, as an entry of the catalog; raises UserError."""
    card = stored(name).card
    known = facts(card, _base(card.architecture).to_json())
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in known.items()}
    return Backbone(**values)


def _base(architecture: str) -> Backbone:
    """Raises UserError `unknown_backbone` where a network was imported with an architecture that is none here."""
    from core.engine.backbones import find  # the package is made of its families

    try:
        if not architecture.startswith(PREFIX):
            return find(architecture)
    except UserError:
        pass
    fix = "It was imported by another version: update this one."
    raise UserError("unknown_backbone", "backbone", architecture, "an architecture of the catalog", fix)


def _families() -> Mapping[str, Family]:
    from core.engine.backbones import families

    return families()
