"""Canonical correlation analysis of features and classes: the directions that separate the classes best."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.transfer.transformations import Facts, Transformation
from core.engine.transfer.transformations.whitening import Whitening


class Cca(Transformation):
    """Hotelling 1936, https://doi.org/10.1093/biomet/28.3-4.321, of the features and one-hot labels; the directions
    are those of linear discriminant analysis, and there is one fewer than classes."""

    def most(self, width: int, images: int, classes: int) -> int:
        """One-hot labels have rank C − 1 once centred."""
        return min(width, images - 1, classes - 1)

    def directions(self, facts: Facts) -> Tensor:
        """Unit variance along each (unless shrunk), in descending order of correlation with the classes."""
        images, width = facts.x.shape
        white = Whitening().directions(facts)
        left: Tensor = torch.linalg.svd(cross(facts.x @ white, facts), full_matrices=False).U
        return white @ left[:, : self.most(width, images, facts.classes)]


def cross(z: Tensor, facts: Facts) -> Tensor:
    """[K, C]: correlations of whitened features z [N, K] with the whitened one-hot labels, whose columns are divided by
    the square root of the class's count; a class without images has none."""
    one_hot: Tensor = F.one_hot(facts.labels, facts.classes).to(z)
    return z.T @ (one_hot / one_hot.sum(0).clamp_min(1).sqrt()) / math.sqrt(len(z))
