"""Magnitude: sets individual weights near zero to zero; shapes, and so latency on ordinary runtimes, do not change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from core.engine.method import knob
from core.engine.prune import SCOPES
from core.engine.prune.sparse import SparsePrune
from core.errors import UserError
from core.options import Words
from core.rules.layer_patterns import matches, read_ratios, refuse_unknown


class Magnitude(SparsePrune):
    """Gradual magnitude pruning (Zhu & Gupta 2017, arXiv:1710.01878): after round k of n the share of zeros is
    ratio · (1 − (1 − k/n)³), and the network is trained after each round."""

    title = Words("Single weights", "单个权重")
    summary = Words(
        "Sets the smallest weights to zero. The file compresses better, but the network is not faster on this runtime.",
        "将最小的权重置零。文件更易压缩，但在此运行时上不会变快。",
    )
    source = "https://arxiv.org/abs/1710.01878"
    leaves_zeros: ClassVar[bool] = True

    ratio: float = knob(
        0.8, "Share of zeros", "Share of the weights in convolutions and linear layers to set to zero.",
        zh=("零的比例", "卷积层和线性层中置零的权重比例。"), ge=0.0, le=0.99, first=True,
    )  # fmt: skip
    scope: str = knob(
        "global", "Scope", "Global compares the weights of all layers; local takes the same share from each.",
        zh=("范围", "全局：比较所有层的权重；局部：每层取相同比例。"), choices=("global", "local"),
        names=SCOPES, first=True,
    )  # fmt: skip
    iterations: int = knob(
        3, "Rounds", "Removes many weights in the first rounds, few in the last (cubic), with recovery after each.",
        zh=("轮数", "前几轮剪得多，后几轮剪得少（三次曲线），每轮之后恢复训练。"), ge=1, le=10, first=True,
    )  # fmt: skip
    layer_ratios: str = knob(
        "", "Ratios for single layers",
        "name=ratio, separated by commas, for layers with a ratio of their own: head=0, stage3.*=0.9.",
        zh=("单层比例", "个别层单独的比例，形如 head=0, stage3.*=0.9，用逗号分隔。"), names={"": ("none", "无")},
    )  # fmt: skip

    @property
    def rounds(self) -> int:
        return self.iterations

    def kept(self, weights: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
        """Which weights remain after round `number` (from 0): the largest of all layers together, or of each layer."""
        share = 1 - (1 - (number + 1) / self.rounds) ** 3
        own = self._own(weights)
        free = {name: weight for name, weight in weights.items() if name not in own}
        ratios = {name: ratio * share for name, ratio in own.items()}
        if self.scope == "local":
            ratios |= dict.fromkeys(free, self.ratio * share)
        alone = {name: largest(weights[name], ratio) for name, ratio in ratios.items()}
        if self.scope == "local" or not free:
            return alone
        together = largest(torch.cat([weight.flatten() for weight in free.values()]), self.ratio * share)
        parts = torch.split(together, [weight.numel() for weight in free.values()])
        return alone | {n: part.reshape(w.shape) for (n, w), part in zip(free.items(), parts, strict=True)}

    def refuse(self, net: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Raises UserError ratio_leaves_no_weight where a ratio leaves a layer without weights, and unknown_layer."""
        own = self._own(weights)
        for name, weight in weights.items():
            given = own.get(name, self.ratio if self.scope == "local" else 0.0)
            most = 1 - 1 / weight.numel()
            if given > most:
                shown = math.floor(most * 1000) / 1000
                allowed = f"at most {shown:g} for this model ({name} would be left without a weight)"
                field = "layer_ratios" if name in own else "ratio"
                raise UserError("ratio_leaves_no_weight", field, given, allowed, f"Set it to {shown:g} or less.")

    def _own(self, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """The ratios of layers that have their own, by parameter name; the first matching pattern counts."""
        given = read_ratios(self.layer_ratios)
        layers = [name.removesuffix(".weight") for name in weights]
        refuse_unknown(given, layers, "layer_ratios", "unknown_layer", "convolutions and linear layers of this model")
        found = {layer: next((r for p, r in given.items() if matches(p, layer)), None) for layer in layers}
        return {f"{layer}.weight": ratio for layer, ratio in found.items() if ratio is not None}


def largest(weight: Tensor, ratio: float) -> Tensor:
    """True for all but the share `ratio` of the smallest absolute values; among equal values the first are removed."""
    keep = torch.ones(weight.numel(), dtype=torch.bool)
    order = weight.detach().abs().flatten().cpu().argsort(stable=True)
    keep[order[: math.floor(weight.numel() * ratio + 1e-9)]] = False
    return keep.reshape(weight.shape)
