"""Random: the baseline that every importance measure has to beat."""

from __future__ import annotations

from typing import ClassVar

from core.engine.prune.attention import Score
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.structured import random_scores
from core.options import Words


class Random(ChannelPrune):
    """Removes channels at random (a strong baseline: Mittal et al. 2018, arXiv:1801.10447)."""

    title = Words("Random", "随机")
    summary = Words(
        "Removes channels at random, determined by the recipe's seed: the baseline for every other method.",
        "按配方的种子随机移除通道：其他方法都应优于这一基线。",
    )
    source = "https://arxiv.org/abs/1801.10447"
    reads_network: ClassVar[bool] = False

    def importance(self, seed: int) -> Score:
        """A uniform random score for every channel, the same for the same seed."""
        return random_scores(seed)
