"""Imported networks: an architecture of the catalog with weights from the workspace."""

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
from core.own.models import PREFIX, StoredNetwork, facts, find_network

FAMILY = "own"


class Workspaces:
    """The folder in which this process looks for imported networks; a process works for one workspace."""

    folder: Path | None = None


def look_in(models: Path | None) -> None:
    """Sets the folder of imported networks, the `models` of a workspace; None: there are none."""
    Workspaces.folder = models


def stored(name: str) -> StoredNetwork:
    """The network called `name`, including `own/`; raises UserError `unknown_backbone` or `damaged_network`."""
    try:
        if Workspaces.folder is not None:
            return find_network(name, Workspaces.folder)
    except UserError as error:
        if error.code != "unknown_network":
            raise
        raise UserError("unknown_backbone", "backbone", name, error.allowed, error.fix) from None
    fix = "Import it into this workspace: condenser import-model."
    raise UserError("unknown_backbone", "backbone", name, "the name of an imported network", fix)


def content(names: Iterable[str]) -> str:
    """Identifies the content of the imported networks among `names`: one imported again under an old name differs."""
    cards = [stored(name).card for name in dict.fromkeys(names) if name.startswith(PREFIX)]
    return ",".join(f"{card.sha256}:{card.size}:{card.crop}:{card.mean}:{card.std}:{card.classes}" for card in cards)


class Own(Family):
    """Imported networks, built by the families of their architectures."""

    def catalog(self) -> list[Backbone]:
        """Empty: imported networks do not come with the program, see `entry`."""
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
            raise UserError("damaged_network", "backbone", backbone.name, "intact weights", fix) from error

    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        return stored(backbone.name).weights.is_file()

    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        return backbone.class_names

    def fit(self, state: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor]:
        """Applies every family's conversion: position embeddings resized for another image size, old names."""
        for name, family in _families().items():
            state = state if name == FAMILY else family.fit(state, net)
        return state


def entry(name: str) -> Backbone:
    """The network called `name`, including `own/`, as a catalog entry; raises UserError as `stored` does."""
    card = stored(name).card
    known = facts(card, _base(card.architecture).to_json())
    fields = {key: value for key, value in known.items() if key != "named"}  # see `is_numbered`
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return Backbone(**values)


def is_numbered(name: str) -> bool:
    """Whether that is an imported network whose outputs nobody named: their names are numbers, in their order."""
    try:
        return name.startswith(PREFIX) and not stored(name).card.named
    except UserError:  # removed since a run began with it
        return False


def _base(architecture: str) -> Backbone:
    """The catalog entry of an architecture; raises UserError `unknown_backbone` if this version does not have it."""
    from core.engine.backbones import find  # the package is made of its families

    try:
        if not architecture.startswith(PREFIX):
            return find(architecture)
    except UserError:
        pass
    fix = "It was imported by another version of Condenser: update this one."
    raise UserError("unknown_backbone", "backbone", architecture, "an architecture of the catalog", fix)


def _families() -> Mapping[str, Family]:
    from core.engine.backbones import families

    return families()
