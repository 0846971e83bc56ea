"""Unstructured pruning: sets individual weights to zero; shapes, and the number of multiplications, do not change."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from core.engine.context import Context
from core.engine.forecast import Forecast
from core.engine.method import knob
from core.engine.model import Model
from core.engine.prune import Prune
from core.engine.prune.masks import kernels, mask
from core.engine.seeds import generator
from core.options import Option
from core.rules.layer_patterns import matches, read_names, refuse_unknown


class SparsePrune(Prune, ABC):
    """A method chooses the weights to keep (`kept`); training after each round preserves the zeros."""

    leaves_zeros: ClassVar[bool] = True

    ignored: str = knob(
        "", "Layers not pruned",
        "Names of layers that keep all weights, separated by commas; * matches any characters.",
        zh=("不剪枝的层", "保留全部权重的层名，用逗号分隔；* 代表任意字符。"), names={"": ("none", "无")},
    )  # fmt: skip

    @classmethod
    def options(cls) -> tuple[Option, ...]:
        """How much to remove comes first, then the layers to exclude, then the recovery."""
        shared = (*Prune.model_fields, "ignored")
        every = super().options()
        own = tuple(option for option in every if option.name not in shared)
        return own + tuple(sorted((o for o in every if o.name in shared), key=lambda option: option.name != "ignored"))

    @abstractmethod
    def kept(self, weights: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
        """Masks of the weights that remain after round `number` (from 0), in the shape of each weight."""

    def refuse(self, net: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Raises UserError where the options are impossible for these weights."""

    def cuts(self, model: Model, context: Context, random_context: Context | None = None) -> Iterator[nn.Module]:
        """The random control shuffles the magnitudes within each layer before ranking, so each layer loses as many."""
        net = copy.deepcopy(model.net).cpu()
        self.refuse(net, self._weights(net))
        draw = generator(*(random_context or context).place, "lot")
        drawn = {name: _shuffled(weight, draw) for name, weight in self._weights(net).items()}
        for number in range(self.rounds):
            mask(net, self.kept(drawn if random_context else self._weights(net), number))
            yield net

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """The same shapes; the options are checked against them."""
        self.refuse(before.model.net, self._weights(before.model.net))
        return before

    def _weights(self, net: nn.Module) -> dict[str, Tensor]:
        patterns = read_names(self.ignored)
        refuse_unknown(patterns, dict(net.named_modules()), "ignored", "unknown_module", "names of the model's layers")
        return {
            name: weight.detach()
            for name, weight in kernels(net).items()
            if not any(matches(pattern, name.removesuffix(".weight")) for pattern in patterns)
        }


def _shuffled(weight: Tensor, draw: torch.Generator) -> Tensor:
    return weight.flatten()[torch.randperm(weight.numel(), generator=draw)].reshape(weight.shape)
