"""Deep CORAL: aligns the covariances of both domains' embeddings."""

from __future__ import annotations

from torch import Tensor, nn

from core.engine.transfer import alignment
from core.engine.transfer.adaptation import Alignment
from core.options import Words


class Coral(Alignment):
    """‖C_S − C_T‖²_F / (4 d²) in addition to the cross-entropy (Sun & Saenko 2016, arXiv:1607.01719)."""

    title = Words("Adaptation: CORAL", "域适应：CORAL")
    summary = Words(
        "Learns the labels while aligning the covariances of source and target features.",
        "学习标签的同时，使源域与目标域特征的协方差趋于一致。",
    )
    source = "https://arxiv.org/abs/1607.01719"

    def distance(self, source: Tensor, target: Tensor, progress: float, critic: nn.Module | None) -> Tensor:
        """Squared distance of the unbiased covariances."""
        return alignment.coral(source, target)
