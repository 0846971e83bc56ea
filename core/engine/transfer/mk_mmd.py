"""Deep adaptation by MK-MMD: aligns the distributions of both domains' embeddings under several kernels."""

from __future__ import annotations

from torch import Tensor, nn

from core.engine.transfer import alignment
from core.engine.transfer.adaptation import Alignment
from core.options import Words


class MkMmd(Alignment):
    """The maximum mean discrepancy under five RBF kernels of equal weight, in addition to the cross-entropy (Long et
    al. 2015, arXiv:1502.02791); the biased estimate over all pairs of a batch."""

    title = Words("Adaptation: MK-MMD", "域适应：MK-MMD")
    summary = Words(
        "Learns the labels while aligning the distributions of source and target features.",
        "学习标签的同时，使源域与目标域的特征分布趋于一致。",
    )
    source = "https://arxiv.org/abs/1502.02791"

    def distance(self, source: Tensor, target: Tensor, progress: float, critic: nn.Module | None) -> Tensor:
        """The squared discrepancy, never negative."""
        return alignment.mmd(source, target)
