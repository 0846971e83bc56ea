"""Prune: channels are removed for good, then the network recovers by training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from core.engine.bench import Bench
from core.engine.data import AUGMENTATIONS
from core.engine.distill.divergence import softened_divergence
from core.engine.distill.teacher import cached_teacher
from core.engine.export.graph import save_float
from core.engine.forecast import Labour, Outline, training
from core.engine.measure.runtime import prepared
from core.engine.method import Method, Saved, build, knob
from core.engine.model import Model
from core.engine.output import Output
from core.engine.prune.attention import Score
from core.engine.prune.ranking import Scope
from core.engine.prune.structured import prune_rounds
from core.engine.seeds import counter_seed
from core.engine.train import Batch, Examples, Schedule, fit
from core.errors import UserError

UNSURE = "Which channels go from which layer depends on the trained weights, so this network's shapes may differ."
TEMPERATURE = 2.0  # of the recovery's teacher, which is the network itself before the cut


class Prune(Method, ABC):
    """A way to tell which channels matter least; the cut, the rounds and the recovery are the same for all.

    A method whose scores come from the seed alone sets `reads_network` False: its cut is known before any training.
    """

    reads_network: ClassVar[bool] = True

    ratio: float = knob(
        0.5, "Pruning ratio", "Share of channels removed; half the channels hold about three quarters of the weights.",
        zh=("剪枝率", "移除的通道比例;移除一半通道约减少四分之三的权重。"), ge=0.0, le=0.95,
    )  # fmt: skip
    scope: str = knob(
        "local", "Scope", "local removes the same share in every layer; global removes the least important anywhere.",
        zh=("范围", "local 在每层移除相同比例;global 在全网范围移除最不重要的通道。"), choices=("local", "global"),
    )  # fmt: skip
    iterations: int = knob(
        1, "Rounds", "The cut is made in so many equal rounds, with recovery between them.",
        zh=("轮数", "分多少轮等量剪枝,每轮之间恢复训练。"), ge=1, le=10,
    )  # fmt: skip
    round_to: int = knob(
        1, "Round to", "Kept channels are rounded up to a multiple of this; runtimes may prefer multiples of 8.",
        zh=("取整", "保留的通道数向上取整到该数的倍数;有些运行时在 8 的倍数上更快。"), ge=1, le=32, unit="channels",
    )  # fmt: skip
    epochs: int = knob(
        5, "Recovery epochs", "Epochs of training after the cut, shared by the rounds; 0 only renews the statistics.",
        zh=("恢复轮次", "剪枝后训练的轮次,由各轮平分;0 表示只更新统计量。"), ge=0, le=500, unit="epochs",
    )  # fmt: skip
    learning_rate: float = knob(
        0.05, "Learning rate", "The highest learning rate of the recovery.",
        zh=("学习率", "恢复训练的最高学习率。"), ge=0.000001, le=1.0,
    )  # fmt: skip
    batch: int = knob(
        128, "Batch", "Images in one step of the recovery.",
        zh=("批大小", "恢复训练每一步的图片数。"), ge=2, le=4096, unit="images",
    )  # fmt: skip

    recovery: str = knob(
        "teacher", "Recover from",
        "teacher: the network before the cut teaches, on unlabelled images too; labels: cross-entropy alone.",
        zh=("恢复方式", "teacher:由剪枝前的网络教学,也使用无标签图像;labels:只用标签的交叉熵。"),
        choices=("teacher", "labels"),
    )  # fmt: skip
    augment: str = knob(
        "shift", "Augmentation", "Random changes of the images during the recovery.",
        zh=("数据增强", "恢复训练时对图像的随机变换。"), choices=AUGMENTATIONS,
    )  # fmt: skip
    twin: bool = knob(
        False, "Cut a twin at random", "The same cut at random with the same recovery: what the ranking was worth.",
        zh=("随机剪枝孪生", "同样比例随机剪枝并同样恢复:显示重要性排序的价值。"),
    )  # fmt: skip

    @abstractmethod
    def importance(self, seed: int) -> str | Score:
        """What `structured.prune_channels` takes: a name, or a callable from a channel group to one score a channel."""

    def apply(self, model: Model, bench: Bench) -> Model:
        """The thinned network after its last recovery; the weights of the best validation accuracy are kept."""
        thinned = model
        for number, net in enumerate(self._rounds(model, self.importance(counter_seed(*bench.place, "importance")))):
            thinned = self._recover(model.with_net(net), model, number, bench)
            thinned.net.cpu()
        return thinned

    def controls(self, model: Model, bench: Bench) -> dict[str, Callable[[], Model]]:
        """The twin cut at random."""
        shared = {name: getattr(self, name) for name in Prune.model_fields}
        at_random = build("prune", "random", **shared)
        return {"twin cut at random": lambda: at_random.apply(model, bench.beside("random-twin"))} if self.twin else {}

    def outline(self, before: Outline, bench: Bench) -> Outline:
        """The network after the cut. A local cut takes as many channels from a layer whatever their scores are."""
        chosen = self.scope == "global" and self.reads_network
        seed = counter_seed(*bench.place, "importance")
        score = self.importance(seed) if self.scope == "global" and not chosen else "l2" if chosen else "random"
        thinned = before.model.with_net(list(self._rounds(before.model, score))[-1])
        return Outline(thinned, UNSURE if chosen else before.why)

    def labour(self, before: Model, after: Model, bench: Bench) -> tuple[Labour, ...]:
        """A round renews the statistics, asks the teacher once a view, and trains."""
        images = len(bench.labelled) + (len(bench.pool) if self.recovery == "teacher" else 0)
        views = sum(min(self.schedule(epochs).views, epochs) for epochs in self._shares())
        taught = (Labour("answer", before, views * images),) if self.recovery == "teacher" else ()
        renewed = Labour("forward", after, self.iterations * images, 256)
        recovery = training(after, self.epochs, self.batch, images, len(bench.data.validation))
        return (renewed, *recovery, *taught)

    def save(self, model: Model, path: Path, bench: Bench) -> Saved:
        """The smaller network as float32 ONNX."""
        return save_float(model, path)

    def schedule(self, epochs: int) -> Schedule:
        """How a round trains for `epochs`."""
        views = 4 if self.augment != "none" else 1
        return Schedule(epochs, self.batch, self.learning_rate, augment=self.augment, views=views)

    def _rounds(self, model: Model, score: str | Score) -> Iterator[nn.Module]:
        """The network after each cut."""
        p = model.preprocessing
        example = torch.zeros(2, p.channels, p.size, p.size)
        scope: Scope = "global" if self.scope == "global" else "local"
        return prune_rounds(
            model.net.cpu(), example, self.ratio, score,
            scope=scope, round_to=self.round_to, iterations=self.iterations,
        )  # fmt: skip

    def _shares(self) -> list[int]:
        """The epochs of each round."""
        ends = [self.epochs * number // self.iterations for number in range(self.iterations + 1)]
        return [end - start for start, end in pairwise(ends)]

    def _recover(self, thinned: Model, whole: Model, number: int, bench: Bench) -> Model:
        """Renews the statistics, then trains for this round's share of the epochs."""
        shares = self._shares()
        before, epochs = sum(shares[:number]), shares[number]
        part = bench.part(f"round-{number}").after(before, self.epochs)
        examples = Examples.of(bench.labelled, bench.pool if self.recovery == "teacher" else None)
        reestimate_batch_norm(thinned.net, map(torch.from_numpy, prepared(examples.images, thinned.preprocessing, 256)))
        if not epochs:
            return thinned
        schedule = self.schedule(epochs)
        if self.recovery == "labels":
            return fit(thinned, examples, _cross_entropy, schedule, part)
        with cached_teacher(whole, examples, schedule, part) as teacher:
            return fit(
                thinned, examples,
                lambda output, batch: softened_divergence(output.logits, teacher(batch).logits, TEMPERATURE),
                schedule, part,
            )  # fmt: skip


def _cross_entropy(output: Output, batch: Batch) -> Tensor:
    return F.cross_entropy(output.logits, batch.target)


def reestimate_batch_norm(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Renews the running mean and variance of every batch norm: the plain average over `batches` of [N, C, H, W].

    Each batch weighs the same, variances are unbiased (torch's own cumulative average, momentum None). Weights, modes
    and momenta stay as they were. Raises UserError no_batches, before anything changes, when there is no batch.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    waiting = iter(batches)
    first = next(waiting, None)
    if first is None:
        raise UserError("no_batches", "batches", 0, "at least one batch of images", "Give the images to measure.")
    modes = [(module, module.training) for module in net.modules()]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        with torch.no_grad():
            net(first)
            for batch in waiting:
                net(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
