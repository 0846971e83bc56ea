"""A cache of the models of finished steps, for other runs that begin with the same steps."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from core.engine.data import Dataset
from core.engine.model import Model
from core.engine.model_file import load_model, save_model
from core.engine.pipeline.code_version import code_of, whole_engine
from core.errors import UserError
from core.files import make_folder
from core.recipe import Recipe
from core.storage.sealed import used


@dataclass(frozen=True)
class StepCache:
    """Models by everything they depend on: recipe up to the step, data, device, versions, and the code of the methods
    up to the step, which `modules` names; without them all of the engine's."""

    folder: Path
    recipe: Recipe
    data: Dataset
    device: torch.device
    target: str = ""  # hash of the content of the target dataset
    hardware: str = ""  # properties that affect the last digits, and by which `auto` decides
    networks: str = ""  # hashes of the person's own networks in the recipe
    modules: tuple[str, ...] = ()  # where the method of each step is
    pool: str = ""  # hash of the content of the dataset named as pool

    def key(self, step: int, seed: int, control: str = "") -> str:
        """The key of the model of `step` for `seed`, or of one of its controls."""
        parts = (
            self.recipe.prefix_hash(step),
            str(seed),
            control,
            self.data.content_hash,
            self.target,
            self.device.type,
            self.hardware,
            self.networks,
            self.pool,
            torch.__version__,
            self._code(step),
        )
        return sha256("/".join(parts).encode()).hexdigest()[:32]

    def _code(self, step: int) -> str:
        return code_of(*self.modules[: step + 1]) if self.modules else whole_engine()

    def get(self, key: str) -> Model | None:
        """The stored model, marked as used now; None if there is none or it is damaged."""
        try:
            model = load_model(self.folder / key)
        except (FileNotFoundError, UserError):
            return None
        used(self.folder / key)
        return model

    def holds(self, key: str) -> bool:
        """Whether there is an entry, intact or damaged."""
        return (self.folder / key).exists()

    def put(self, key: str, model: Model) -> None:
        """Stores a model."""
        save_model(model, make_folder(self.folder / key))
