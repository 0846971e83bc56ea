"""Principal components: the orthogonal directions of largest variance."""

from __future__ import annotations

from torch import Tensor

from core.engine.transfer.transformations import Facts, Transformation


class Pca(Transformation):
    """Pearson 1901, https://doi.org/10.1080/14786440109462720. A rotation: with all directions nothing changes."""

    def most(self, width: int, images: int, classes: int) -> int:
        """Centred features of N images span at most N − 1 dimensions."""
        return min(width, images - 1)

    def directions(self, facts: Facts) -> Tensor:
        """Unit eigenvectors of the covariance."""
        return facts.axes[0]
