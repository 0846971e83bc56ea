"""Export: further formats of the model that a recipe made, each checked against the model it came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from core.engine.bench import Bench
from core.engine.method import Method, Saved
from core.engine.model import Model


class Export(Method, ABC):
    """A format to write; adds files beside the last step's artifact, never a point."""

    makes_point: ClassVar[bool] = False

    @abstractmethod
    def write(self, artifact: Path, folder: Path, bench: Bench) -> tuple[Path, ...]:
        """Writes the model saved in `artifact` into `folder` in this format and returns the files."""

    def save(self, model: Model, path: Path, bench: Bench) -> Saved:
        """The files of this format, in the folder of `path`."""
        assert bench.artifact is not None
        return Saved(files=self.write(bench.artifact, path.parent, bench))
