"""Depth pruning: whole residual blocks are removed, and with them their latency; the network becomes shallower."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from core.engine.context import Context
from core.engine.forecast import Forecast, Workload
from core.engine.method import knob
from core.engine.model import Model
from core.engine.prune import Prune
from core.engine.prune.block_removal import Unit, influence, removable, without
from core.engine.prune.ratio_search import blank
from core.engine.seeds import generator
from core.engine.training.loop import evaluate
from core.errors import UserError
from core.options import Words
from core.rules.layer_patterns import matches, read_names, refuse_unknown

UNSURE = "Which blocks are removed depends on the trained weights, so this network's shapes may differ."


class Blocks(Prune):
    """Depth pruning, one block after another: the one whose removal raises the validation loss least (a greedy form of
    Elkerdawy et al. 2020, arXiv:2004.11627), or whose output is most similar to its input (block influence, Men et al.
    2024, arXiv:2403.03853)."""

    title = Words("Whole blocks", "整块剪除")
    summary = Words(
        "Removes the least important residual blocks: fewer layers, so lower latency too. A network without residual "
        "blocks loses whole layers instead.",
        "移除最不重要的残差块：层数减少，耗时也减少。没有残差块的网络则移除整层。",
    )
    source = "https://arxiv.org/abs/2004.11627"

    removed: int = knob(
        1, "Blocks to remove", "How many to remove, least important first; the rest is measured again after each.",
        zh=("移除块数", "移除多少块，最不重要的先移除；每移除一块后重新衡量。"), ge=1, le=64, first=True,
    )  # fmt: skip
    measure: str = knob(
        "loss", "Measured by",
        "Loss: the validation loss without the block; influence: how little the block changes what passes through it.",
        zh=("衡量方式", "损失：去掉该块后的验证损失；影响：该块对经过的数据改变得多少。"),
        choices=("loss", "influence"), names={"loss": ("loss", "损失"), "influence": ("influence", "影响")}, first=True,
    )  # fmt: skip
    ignored: str = knob(
        "", "Blocks to keep", "Names of blocks to keep, separated by commas; * matches any characters.",
        zh=("保留的块", "保留的块名，用逗号分隔；* 代表任意字符。"), names={"": ("none", "无")},
    )  # fmt: skip

    def cuts(self, model: Model, context: Context, random_context: Context | None = None) -> Iterator[nn.Module]:
        """The network without its least important blocks, or without as many blocks chosen at random."""
        # in one memory layout, so that a network just trained and one read from disk give bit-identical results
        net: nn.Module = copy.deepcopy(model.net).to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        net.eval()
        units = self._removable(model.with_net(net))
        draw = generator(*(random_context or context).place, "lot")
        order = [units[int(place)] for place in torch.randperm(len(units), generator=draw)]
        for number in range(self.removed):
            chosen = order[number] if random_context else self._least(model.with_net(net), units, context)
            units = [unit for unit in units if unit != chosen]
            net = without(net, chosen)
        yield net

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """As many blocks fewer, taken from the end: which ones are removed is only known in the run."""
        net, units = before.model.net, self._removable(before.model)
        for unit in units[len(units) - self.removed :]:
            net = without(net, unit)
        return Forecast(before.model.with_net(net), UNSURE)

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """In addition to recovery: before each removal, one pass over the validation images per candidate block."""
        blocks = len(self._removable(before))
        passes = sum(blocks - number for number in range(self.removed)) if self.measure == "loss" else self.removed
        images = passes * len(context.data.validation)
        return (*super().workload(before, after, context), Workload("forward", before, images, 256, control=False))

    def _removable(self, model: Model) -> list[Unit]:
        """Raises UserError unknown_module, no_blocks, too_many_blocks."""
        units, patterns = removable(model.net, blank(model)), read_names(self.ignored)
        names = [unit.name for unit in units]
        refuse_unknown(patterns, names, "ignored", "unknown_module", f"removable blocks: {', '.join(names[:12])}")
        free = [unit for unit in units if not any(matches(pattern, unit.name) for pattern in patterns)]
        if not free:
            fix = "Prune channels instead, for example with l2, or choose a deeper backbone."
            given = f"blocks of {model.backbone}"
            allowed = "a network with a block that can be removed without changing shapes"
            raise UserError("no_blocks", "method", given, allowed, fix)
        if self.removed > len(free):
            allowed = f"at most {len(free)} for this model ({', '.join(unit.name for unit in free)})"
            raise UserError("too_many_blocks", "removed", self.removed, allowed, f"Set removed to {len(free)} or less.")
        return free

    def _least(self, model: Model, units: list[Unit], context: Context) -> Unit:
        if self.measure == "influence":
            scores = influence(model, units, context)
            return min(units, key=lambda unit: scores[unit])
        losses = [
            evaluate(model.with_net(without(model.net, unit).to(context.device)), context.data.validation, context).loss
            for unit in units
        ]
        return units[min(range(len(units)), key=lambda place: losses[place])]
