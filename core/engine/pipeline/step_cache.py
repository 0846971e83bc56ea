"""A cache of the models of finished steps, for other runs that begin with the same steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import torch

from core.engine.data import Dataset
from core.engine.model import Model
from core.engine.model_file import load_model, save_model
from core.errors import UserError
from core.files import make_folder
from core.recipe import Recipe


@dataclass(frozen=True)
class StepCache:
    """Models by everything they depend on: recipe up to the step, data, device, versions and the engine's own code."""

    folder: Path
    recipe: Recipe
    data: Dataset
    device: torch.device
    target: str = ""  # hash of the content of the target dataset
    hardware: str = ""  # properties that affect the last digits, and by which `auto` decides
    networks: str = ""  # hashes of the person's own networks in the recipe

    def key(self, step: int, seed: int, control: str = "") -> str:
        """The key of the model of `step` for `seed`, or of one of its controls."""
        parts = (
            self.recipe.prefix_hash(step), str(seed), control, self.data.content_hash, self.target, self.device.type,
            self.hardware, self.networks, torch.__version__, code_version(),
        )  # fmt: skip
        return sha256("/".join(parts).encode()).hexdigest()[:32]

    def get(self, key: str) -> Model | None:
        """The stored model; None if there is none or it is damaged."""
        try:
            return load_model(self.folder / key)
        except (FileNotFoundError, UserError):
            return None

    def put(self, key: str, model: Model) -> None:
        """Stores a model."""
        save_model(model, make_folder(self.folder / key))


@cache
def code_version() -> str:
    """A hash of the engine's source: after a change of the code no old models may be reused."""
    digest = sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
