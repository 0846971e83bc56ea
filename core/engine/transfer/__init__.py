"""Transfer learning: a pretrained backbone learns the classes of the target dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from core.engine.context import Context
from core.engine.export.graph import save_float
from core.engine.method import Method, Saved
from core.engine.model import Model


class Transfer(Method, ABC):
    """Turns a pretrained backbone into a classifier of the target's classes."""

    @abstractmethod
    def apply(self, model: Model, context: Context) -> Model:
        """The classifier; `model` has a pretrained backbone and a new, untrained head."""

    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """The network as float32 ONNX."""
        return save_float(model, path)
