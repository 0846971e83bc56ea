"""How the loss depends on each weight: squared gradients, or curvature, stored where an importance reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_pruning.dependency import Group

from core.engine.context import Context
from core.engine.data.augment import prepare
from core.engine.forecast import Workload
from core.engine.method import knob
from core.engine.model import Model
from core.engine.prune.attention import Score
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.scores import Share, gather
from core.engine.seeds import generator

Labelled = tuple[Tensor, Tensor]


class GradientPrune(ChannelPrune, ABC):
    """Weights each squared weight by a quantity computed from gradients on labelled images; a method defines it."""

    reads_images: ClassVar[bool] = True
    images: int = knob(
        512, "Images for the gradients",
        "Labelled images on which gradients are taken before each cut; with more, the ranking is more reliable.",
        zh=("参考图像数", "每次剪枝前用多少张有标签图像计算梯度；越多排序越可靠。"), ge=1, le=100_000, unit="images",
    )  # fmt: skip
    at_once: int = knob(
        32, "Images per gradient", "Images whose mean loss gives one gradient; the ranking averages over gradients.",
        zh=("每次梯度的图像数", "多少张图像的平均损失给出一个梯度；排序取各梯度的平均。"), ge=1, le=1024, unit="images",
    )  # fmt: skip

    @abstractmethod
    def weigh(self, net: nn.Module, batches: Iterable[Labelled], draw: torch.Generator) -> None:
        """Stores in every parameter's gradient the factor by which its square is multiplied."""

    @property
    def passes(self) -> int:
        """Forward and backward passes per batch."""
        return 1

    def importance(self, seed: int) -> Score:
        """A channel's sum of weight² · gradient over all its layers, as stored by `store_gradients`; `seed` is not
        used."""
        return weighted_squares

    def store_gradients(self, model: Model, context: Context) -> None:
        """Uses the first images of an order drawn from the context's seed; in one memory layout, so that a network just
        trained and one read from disk give bit-identical results."""
        place = (*context.place, "gradients")
        order = torch.randperm(len(context.labelled), generator=generator(*place))[: self.images]
        net = model.net.to(context.device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        draw = generator(*place, "probes", device=context.device)
        self.weigh(net, self._batches(order, model, context), draw)
        net.cpu()

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """In addition to recovery: the gradients before each round."""
        images = self.rounds * self.passes * min(self.images, len(context.labelled))
        return (
            *super().workload(before, after, context),
            Workload("train", before, images, self.at_once, control=False),
        )

    def _batches(self, order: Tensor, model: Model, context: Context) -> Iterator[Labelled]:
        for chosen in torch.split(order, self.at_once):
            context.stop_if_cancelled()
            images = prepare(context.labelled.images[chosen].to(context.device), model.preprocessing)
            yield images, context.labelled.labels[chosen].to(context.device)


def weighted_squares(group: Group) -> Tensor:
    """One score per channel [C]: Σ weight² · gradient over filters, readers, scales and biases of all its layers."""
    return gather(group, _weighted)[0]


def _weighted(share: Share) -> Tensor:
    found = torch.zeros(len(share.weight), device=share.weight.device)
    if share.weight_grad is not None:
        found = found + (share.weight.square() * share.weight_grad).sum(1)
    if share.bias is not None and share.bias_grad is not None:
        found = found + share.bias.square() * share.bias_grad
    return found


def squared_gradients(net: nn.Module, batches: Iterable[Labelled]) -> None:
    """Sets each parameter's gradient to the mean over batches of its squared gradient of the cross-entropy."""
    _leave_squares(net, (F.cross_entropy(net(images), labels) for images, labels in batches))


def curvature(net: nn.Module, batches: Iterable[Labelled], draws: int, draw: torch.Generator) -> None:
    """Sets each parameter's gradient to an estimate of its diagonal entry of the cross-entropy's Gauss-Newton matrix.

    The entry is the mean squared gradient of single images with labels sampled from the network's own predictions. The
    labels of a batch are independent and their gradients zero on average, so the square of their sum estimates the sum
    of squares.
    """

    def losses() -> Iterator[Tensor]:
        for images, _ in batches:
            logits = net(images)
            for _ in range(draws):
                labels = torch.multinomial(logits.detach().softmax(1), 1, generator=draw).flatten()
                yield F.cross_entropy(logits, labels, reduction="sum") / len(images) ** 0.5

    _leave_squares(net, losses())


def _leave_squares(net: nn.Module, losses: Iterable[Tensor]) -> None:
    parameters = list(net.parameters())
    total = [torch.zeros_like(p) for p in parameters]
    count = 0
    for loss in losses:
        slopes = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        for sum_, slope in zip(total, slopes, strict=True):
            sum_.addcmul_(slope, slope)
        count += 1
    for parameter, found in zip(parameters, total, strict=True):
        parameter.grad = found / count
