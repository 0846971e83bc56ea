"""Whitening: principal components scaled to equal variance, so that no direction dominates."""

from __future__ import annotations

from torch import Tensor

from core.engine.transfer.transformations import Facts, Transformation


class Whitening(Transformation):
    """PCA whitening (Kessy et al. 2018, arXiv:1512.00809): the covariance of the result is the identity, unless
    shrunk."""

    def most(self, width: int, images: int, classes: int) -> int:
        """Centred features of N images span at most N − 1 dimensions."""
        return min(width, images - 1)

    def directions(self, facts: Facts) -> Tensor:
        """Eigenvectors divided by the square root of their eigenvalues."""
        vectors, values = facts.axes
        return vectors / values.sqrt()
