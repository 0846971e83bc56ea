"""DANN: learns features from which a discriminator cannot distinguish the domains."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.method import knob
from core.engine.transfer.adaptation import Alignment
from core.options import Words


class Dann(Alignment):
    """Gradient reversal with λ = 2 / (1 + e^(−10 p)) − 1, p the fraction of training done (Ganin et al. 2016,
    arXiv:1505.07818)."""

    title = Words("Adaptation: DANN", "域适应：DANN")
    summary = Words(
        "A discriminator learns to distinguish source from target; the features learn to deceive it.",
        "判别器学习区分源域与目标域，特征则学习骗过它。",
    )
    source = "https://arxiv.org/abs/1505.07818"

    hidden: int = knob(
        64, "Discriminator's width", "Units in each of its two hidden layers.",
        zh=("判别器宽度", "两个隐藏层各自的单元数。"), ge=1, le=4096,
    )  # fmt: skip

    def critic(self, width: int) -> nn.Module:
        """Maps embeddings [N, width] to one logit each; positive means source."""
        first, second = nn.Linear(width, self.hidden), nn.Linear(self.hidden, self.hidden)
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(self.hidden, 1))

    def distance(self, source: Tensor, target: Tensor, progress: float, critic: nn.Module | None) -> Tensor:
        """The discriminator's cross-entropy, which it minimises and the features maximise."""
        assert critic is not None
        logits = critic(reverse(torch.cat([source, target]), strength(progress))).squeeze(1)
        truth = torch.cat([logits.new_ones(len(source)), logits.new_zeros(len(target))])
        return F.binary_cross_entropy_with_logits(logits, truth)


def strength(progress: float) -> float:
    """λ of the paper, from 0 at the beginning to nearly 1."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def reverse(features: Tensor, strength: float) -> Tensor:
    """The identity, with the incoming gradient multiplied by −strength."""
    turned = -strength * features
    return turned + (features - turned).detach()
