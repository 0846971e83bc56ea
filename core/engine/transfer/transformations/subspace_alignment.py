"""Subspace alignment: aligns the source's principal directions with the target's before training a classifier."""

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
        "the head was trained on source features aligned with the target, and the file treats every image as one of "
        "the target: its accuracy on the source is that of the file there, not how well it learned the source"
    )

    def most(self, width: int, images: int, classes: int) -> int:
        """As for the principal components of the smaller domain."""
        return Pca().most(width, images, classes)

    def directions(self, facts: Facts) -> Tensor:
        """Xt, with at most as many directions as Xs."""
        assert facts.target is not None
        there = Facts(facts.target, facts.labels, facts.classes, facts.shrink)
        return there.axes[0][:, : facts.axes[0].shape[1]]

    def aligned(self, facts: Facts, directions: Tensor) -> Tensor:
        """Xs · M: depends on how many directions are kept."""
        here = facts.axes[0][:, : directions.shape[1]]
        return here @ (here.T @ directions)
