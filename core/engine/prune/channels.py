"""Structured pruning: channels are removed from every layer that shares them; a method ranks their importance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from torch import nn

from core.engine.context import Context
from core.engine.forecast import Forecast
from core.engine.method import knob
from core.engine.model import Model
from core.engine.prune import SCOPES, Prune
from core.engine.prune.attention import Score
from core.engine.prune.channel_selection import Scope
from core.engine.prune.cutter import Choice
from core.engine.prune.ratio_search import BUSY, KINDS, WHILE_BUSY, blank, chosen, decisions, refuse_early
from core.engine.prune.structured import prune_rounds, random_scores, widths
from core.engine.seeds import counter_seed
from core.rules.layer_patterns import read_names, read_ratios

UNSURE = "How many channels each layer loses depends on the trained weights, so this network's shapes may differ."
MEASURED = "How much is removed depends on measurements in the run, so this network's shapes may differ."


class ChannelPrune(Prune, ABC):
    """A measure of channel importance; the cut and its rounds are the same for all methods.

    A method whose scores depend only on the seed sets `reads_network` False: its cut is known before any training.
    One that reads gradients sets `reads_images` and implements `store_gradients`.
    """

    reads_network: ClassVar[bool] = True
    reads_images: ClassVar[bool] = False

    ratio: float = knob(
        0.5, "Pruning ratio", "Share of channels removed; half the channels hold about three quarters of the weights.",
        zh=("剪枝率", "移除的通道比例；移除一半通道约减少四分之三的权重。"), ge=0.0, le=0.95, first=True,
    )  # fmt: skip
    scope: str = knob(
        "local", "Scope", "Local removes the same share in every layer; global removes the least important anywhere.",
        zh=("范围", "局部：在每层移除相同比例；全局：在全网范围移除最不重要的通道。"), choices=("local", "global"),
        names=SCOPES, first=True,
    )  # fmt: skip
    iterations: int = knob(
        1, "Rounds", "Number of equal pruning rounds, with recovery after each.",
        zh=("轮数", "分多少轮等量剪枝，每轮之后恢复训练。"), ge=1, le=10, first=True,
    )  # fmt: skip
    round_to: int = knob(
        1, "Round channels to",
        "Kept channels are rounded up to a multiple of this. Fastest: the latency of 1, 2, 4, 8 and 16 is measured "
        "once, and the best is kept.",
        zh=("取整", "保留的通道数向上取整到该数的倍数。最快：实测一次 1、2、4、8、16 的延迟并沿用最快者。"),
        ge=0, le=32, unit="channels", names={0: ("fastest", "最快")},
    )  # fmt: skip
    ignored: str = knob(
        "", "Layers not pruned",
        "Names of layers that keep all channels, separated by commas; * matches any characters.",
        zh=("不剪枝的层", "保留全部通道的层名，用逗号分隔；* 代表任意字符。"), names={"": ("none", "无")},
    )  # fmt: skip
    layer_ratios: str = knob(
        "", "Ratios for single layers",
        "name=ratio, separated by commas, for layers with a ratio of their own: stage1.*=0.25, stem.0=0.",
        zh=("单层剪枝率", "个别层单独的剪枝率，形如 stage1.*=0.25, stem.0=0，用逗号分隔。"), names={"": ("none", "无")},
    )  # fmt: skip
    target: str = knob(
        "none", "Prune until",
        "What must fall to the bound below: the smallest such ratio replaces the one above.",
        zh=("剪到满足", "须降到下面上限的指标；系统会找到满足它的最小剪枝率，代替上面的值。"),
        choices=("none", *KINDS),
        names={"none": ("no bound", "无上限"), "parameters": ("parameters", "参数量"), "macs": ("MACs", "乘加"),
               "bytes": ("bytes", "字节"), "latency": ("latency", "延迟")},
    )  # fmt: skip
    limit: float = knob(
        0.0, "Bound", "For the target: parameters, multiply-accumulates, file size in bytes or latency in ms.",
        zh=("上限", "目标的上限：参数个数、乘加次数、文件字节数或延迟毫秒数。"), ge=0.0, le=1e15,
        names={0.0: ("no bound", "无上限")}, usual=10_000.0,
    )  # fmt: skip

    @abstractmethod
    def importance(self, seed: int) -> str | Score:
        """What `structured.prune_channels` takes: a name, or a callable that maps a group to one score per channel."""

    def refuse(self, net: nn.Module) -> None:
        """Raises UserError where `net` has nothing that the importance can rank by."""

    def store_gradients(self, model: Model, context: Context) -> None:
        """Stores in the gradients of `model.net`, on the CPU, what the importance reads from them."""

    @property
    def rounds(self) -> int:
        return self.iterations

    def apply(self, model: Model, context: Context) -> Model:
        """The network after its last recovery, with a record of what was measured for its cut."""
        if (choice := chosen(self, model, context)).noisy:
            context.remark(BUSY, WHILE_BUSY)
        return super().apply(model, context).having_decided(decisions(self, choice))

    def cuts(self, model: Model, context: Context, random_context: Context | None = None) -> Iterator[nn.Module]:
        """The network after each round. The random control has the layer widths of the real cut made in one round."""
        choice = chosen(self, model, context)
        if random_context is None:
            yield from self.cut(model, choice, context)
            return
        example, ignored = blank(model), read_names(self.ignored)
        for net in self.cut(model, choice, context):
            shape = net
        yield from prune_rounds(
            model.net.cpu(),
            example,
            0.0,
            random_scores(counter_seed(*random_context.place, "importance")),
            ignored=ignored,
            iterations=self.iterations,
            layer_ratios=widths(model.net, shape, example, ignored),
        )

    def cut(self, model: Model, choice: Choice, context: Context, score: Score | None = None) -> Iterator[nn.Module]:
        """The network after each round; `score` replaces the method's own where no images can be read."""
        self.refuse(model.net)
        return prune_rounds(
            model.net.cpu(),
            blank(model),
            choice.ratio,
            score or self.importance(counter_seed(*context.place, "importance")),
            scope=self._scope,
            round_to=choice.round_to,
            iterations=self.iterations,
            ignored=read_names(self.ignored),
            layer_ratios=read_ratios(self.layer_ratios),
            before_cut=(lambda _: None) if score else (lambda net: self.store_gradients(model.with_net(net), context)),
        )

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """The network after the cut. A local cut removes as many channels from a layer whatever their scores are."""
        picks = self.scope == "global" and self.reads_network
        choice = chosen(self, before.model, context, real=False)
        *_, net = self.cut(before.model, choice, context, random_scores(0) if self.reads_images else None)
        why = MEASURED if choice.guessed else UNSURE if picks else before.why
        return Forecast(before.model.with_net(net), why)

    def quick_forecast(self, before: Forecast, context: Context) -> Forecast | None:
        """Searching and measuring take long: only the bounds are checked."""
        if self.target == "none" and self.round_to:
            return super().quick_forecast(before, context)
        self.refuse(before.model.net)
        refuse_early(self, before.model, context)
        return None

    @property
    def _scope(self) -> Scope:
        return "global" if self.scope == "global" else "local"
