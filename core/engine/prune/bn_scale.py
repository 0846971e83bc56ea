"""Network slimming: channels that batch normalisation scales down are unimportant."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch_pruning.dependency import Group

from core.engine.prune.attention import Score
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.scores import Share, average
from core.errors import UserError
from core.options import Words


class BnScale(ChannelPrune):
    """Scales of batch norms (Liu et al. 2017, arXiv:1708.06519). Trained without the paper's L1 penalty on scales."""

    needs_norms = True

    title = Words("Batch-norm scale", "批归一化缩放")
    summary = Words(
        "Removes the channels that batch normalisation scales down most. Needs a network with batch norms; layers "
        "without one are not pruned.",
        "移除批归一化缩放系数最小的通道。需要含批归一化的网络；没有批归一化的层不剪枝。",
    )
    source = "https://arxiv.org/abs/1708.06519"

    def importance(self, seed: int) -> Score:
        """The mean absolute scale over the batch norms of a channel; `seed` is not used."""
        return bn_scale

    def refuse(self, net: nn.Module) -> None:
        """Raises UserError no_batch_norm."""
        if not any(isinstance(module, _BatchNorm) and module.affine for module in net.modules()):
            allowed = "networks with batch normalisation, whose scales it reads"
            fix = "Choose another importance, such as l2 or taylor, or another backbone."
            raise UserError("no_batch_norm", "method", f"bn_scale on {type(net).__name__}", allowed, fix)


def bn_scale(group: Group) -> Tensor | None:
    """One score per channel [C]; None where no batch norm follows the group."""
    return average(group, _scale)


def _scale(share: Share) -> Tensor | None:
    return share.weight.abs().sum(1) if isinstance(share.layer, _BatchNorm) else None
