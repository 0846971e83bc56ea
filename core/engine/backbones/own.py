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
from core.models import PREFIX, StoredNetwork, facts, find_network, own_networks


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

    def __init__(self, families: Mapping[str, Family], known: Mapping[str, Backbone]) -> None:
        self.families, self.known = families, known

    def catalog(self) -> list[Backbone]:
        return [self.entry(one) for one in own_networks(Workspaces.folder)] if Workspaces.folder is not None else []

    def entry(self, network: StoredNetwork) -> Backbone:
        """The catalog's entry of an imported network; raises UserError where its architecture is unknown here."""
        card = network.card
        if card.architecture not in self.known:
            fix = "It was imported by another version: update this one."
            raise UserError("unknown_backbone", "backbone", card.architecture, "an architecture of the catalog", fix)
        described: dict[str, Any] = facts(card, self.known[card.architecture].to_json())
        return Backbone(**{key: tuple(v) if isinstance(v, list) else v for key, v in described.items()})

    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        base = self.known[backbone.architecture]
        return self.families[base.family].architecture(base, classes, image_size, backbone.width, channels)

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
        for family in self.families.values():
            state = family.fit(state, net)
        return state
