"""Linear probe: the backbone is a fixed representation; only a linear classifier on top of it is trained."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from core.engine.transfer.logistic import Head, Problem, solve
from core.engine.transfer.probing import ProbedTransfer, TargetFeatures
from core.options import Words

__all__ = ["Head", "LinearProbe", "solve"]


class LinearProbe(ProbedTransfer):
    """Multinomial logistic regression on standardised, cached features (Alain & Bengio 2016, arXiv:1610.01644)."""

    title = Words("Linear probe", "线性探测")
    summary = Words(
        "The backbone is frozen; features are computed once and only a linear classifier is trained. Takes seconds.",
        "冻结骨干；特征只计算一次，只训练线性分类器。只需几秒。",
    )
    source = "https://arxiv.org/abs/1610.01644"

    def candidates(
        self, features: Tensor, labels: Tensor, classes: int, there: TargetFeatures | None
    ) -> Sequence[Problem]:
        """One: all features."""
        return (Problem.of(features, labels, classes),)
