"""Linear transformations of features, fitted on the labelled images: one file each, with the name used in the menu.

A file defines one subclass of Transformation, which becomes a choice of the method `transform` with no other edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

NAMES = tuple(sorted(info.name for info in pkgutil.iter_modules(__path__)))


@dataclass(frozen=True)
class Facts:
    """What a transformation is fitted to: features x [N, D] float64 with mean 0, labels [N], the number of classes,
    and whether the covariance is shrunk towards a multiple of the identity; `target` [M, D] are features of the
    recipe's target in the same form, for a transformation that adapts to it."""

    x: Tensor
    labels: Tensor
    classes: int
    shrink: bool
    target: Tensor | None = None

    @cached_property
    def axes(self) -> tuple[Tensor, Tensor]:
        """(eigenvectors [D, K], eigenvalues [K]) of the covariance, the largest first; those without variance in the
        data are left out. With `shrink` the eigenvalues are the Ledoit-Wolf estimate's; the vectors are the same."""
        n, d = self.x.shape
        values, vectors = torch.linalg.eigh(self.x.T @ self.x / n)
        values, vectors = values.flip(0), vectors.flip(1)
        real = values > values[0] * max(n, d) * torch.finfo(torch.float64).eps
        if self.shrink:
            from sklearn.covariance import ledoit_wolf_shrinkage  # takes a second to import

            alpha = float(ledoit_wolf_shrinkage(self.x.numpy(), assume_centered=True))
            values = (1 - alpha) * values + alpha * values.clamp_min(0).mean()
        return vectors[:, real], values[real]


class Transformation(ABC):
    """Chooses directions in feature space.

    A transformation that adapts to the recipe's target names in `without_target` the one without adaptation that it is
    compared with, and states in `note` what that means for the file; its directions are those of the target's features,
    and it implements `aligned`.
    """

    without_target: ClassVar[str] = ""
    note: ClassVar[str] = ""

    @abstractmethod
    def most(self, width: int, images: int, classes: int) -> int:
        """The maximum number of directions for features [images, width]."""

    @abstractmethod
    def directions(self, facts: Facts) -> Tensor:
        """[D, K] float64, the most important first: the transformed features are x · directions."""

    def aligned(self, facts: Facts, directions: Tensor) -> Tensor:
        """[D, K]: the projection of the labelled images when the saved file projects onto `directions` [D, K]; the same
        if there is no other domain."""
        return directions


def transformation(name: str) -> Transformation:
    """The transformation of the file `name`, one of NAMES."""
    module = importlib.import_module(f"{__name__}.{name}")
    (kind,) = (c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__)
    made: Transformation = kind()
    return made
