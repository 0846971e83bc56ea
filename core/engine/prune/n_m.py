"""N:M sparsity: of every M consecutive weights the N largest are kept, a pattern that some accelerators support."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.engine.method import knob
from core.engine.prune.sparse import SparsePrune
from core.errors import UserError
from core.options import Words


class NM(SparsePrune):
    """N:M sparsity along a layer's inputs (Mishra et al. 2021, arXiv:2104.08378: 2:4, magnitude, then retraining)."""

    title = Words("N of M weights", "N:M 稀疏")
    summary = Words(
        "Keeps the N largest of every M consecutive weights; some GPUs can make use of 2 of 4. No gain in latency on "
        "this runtime.",
        "每 M 个连续权重只保留最大的 N 个；2:4 可被部分 GPU 利用。在此运行时上不会变快。",
    )
    source = "https://arxiv.org/abs/2104.08378"

    n: int = knob(
        2, "Weights kept per group", "How many weights of each group are kept; must be less than the group size.",
        zh=("每组保留数", "每组保留的权重个数；须小于每组权重数。"), ge=1, le=31, first=True,
    )  # fmt: skip
    m: int = knob(
        4, "Weights per group",
        "Adjacent input channels of one filter form a group; layers that do not divide evenly are not pruned.",
        zh=("每组权重数", "同一滤波器的相邻输入通道组成一组；不能整除的层不剪枝。"), ge=2, le=32, first=True,
    )  # fmt: skip

    def kept(self, weights: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
        """The `n` largest absolute values of each group of `m` input channels; of equal values the first are kept."""
        return {name: self._largest(weight) for name, weight in weights.items() if weight.shape[1] % self.m == 0}

    def refuse(self, net: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Raises UserError no_runs where no layer's inputs divide into groups, and conflicting_options."""
        if self.n >= self.m:
            allowed = f"fewer than m = {self.m}"
            raise UserError("conflicting_options", "n", self.n, allowed, f"Set n to {self.m // 2}.")
        if not any(weight.shape[1] % self.m == 0 for weight in weights.values()):
            inputs = sorted({weight.shape[1] for weight in weights.values()})
            shown = ", ".join(map(str, inputs[:12]))
            allowed = f"a divisor of some layer's inputs ({shown} for this model)"
            raise UserError("no_runs", "m", self.m, allowed, "Choose another m, or ignore fewer layers.")

    def _largest(self, weight: Tensor) -> Tensor:
        last = weight.abs().transpose(1, -1)  # inputs last, then in groups
        runs = last.reshape(*last.shape[:-1], -1, self.m)
        order = runs.argsort(dim=-1, descending=True, stable=True)
        keep = torch.zeros(runs.shape, dtype=torch.bool).scatter_(-1, order[..., : self.n], True)
        return keep.flatten(-2).transpose(1, -1)
