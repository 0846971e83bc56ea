"""Subspace alignment: the source's principal directions are turned towards the target's before a classifier learns."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from core.engine.transfer.transformations import Facts, Transformation
from core.engine.transfer.transformations.pca import Pca


class SubspaceAlignment(Transformation):
    """Fernando et al. 2013, https://doi.org/10.1109/ICCV.2013.368: with the principal directions Xs, Xt [D, K] of both
    domains, each standardised by itself, the source is seen as x · Xs · M with M = Xsᵀ · Xt, the target as x · Xt."""

    without_target: ClassVar[str] = "pca"
    note: ClassVar[str] = (
        "the head learned on the source turned towards the target, and the file takes every image for one of the "
        "target: its accuracy on the source is what the file would do there, not how well it learned the source"
    )

    def most(self, width: int, images: int, classes: int) -> int:
        """As for principal components of the smaller of both domains."""
        return Pca().most(width, images, classes)

    def directions(self, facts: Facts) -> Tensor:
        """Xt, no more of it than Xs has."""
        assert facts.target is not None
        there = Facts(facts.target, facts.labels, facts.classes, facts.shrink)
        return there.axes[0][:, : facts.axes[0].shape[1]]

    def aligned(self, facts: Facts, directions: Tensor) -> Tensor:
        """Xs · M: depends on how many directions are kept."""
        here = facts.axes[0][:, : directions.shape[1]]
        return here @ (here.T @ directions)
