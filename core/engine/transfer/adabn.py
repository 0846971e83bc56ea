"""AdaBN: replaces the source's batch-norm statistics by the target's."""

from __future__ import annotations

import torch

from core.engine.context import Context
from core.engine.data import Unlabelled, prepare
from core.engine.data.selection import evenly
from core.engine.model import Model
from core.engine.transfer.adaptation import SourceFreeAdaptation, statistics_layers
from core.options import Words

AT_ONCE = 256  # images per batch of statistics


class Adabn(SourceFreeAdaptation):
    """Keeps every weight; means and variances become those of the target's images (Li et al. 2016, arXiv:1603.04779).

    They are averages over equal batches of about 256, each normalised by its own statistics, in one pass.
    """

    title = Words("Adaptation: AdaBN", "域适应：AdaBN")
    summary = Words(
        "After training on the labels, only the batch-norm means and variances are re-estimated on target images.",
        "学完标签后，仅用目标域图像重新估计批归一化的均值和方差。",
    )
    source = "https://arxiv.org/abs/1603.04779"

    def fit_to_target(self, model: Model, context: Context, target: Unlabelled) -> Model:
        """Statistics of all target images."""
        return with_statistics(model, context, target)


def with_statistics(model: Model, context: Context, target: Unlabelled) -> Model:
    """`model`, changed in place: its running means and variances are the averages over the target's images."""
    net, layers = model.net.to(context.device).eval(), statistics_layers(model.net)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average of all batches
        layer.train()
    with torch.no_grad():
        for part in evenly(target.images, AT_ONCE):
            context.stop_if_cancelled()
            net(prepare(part.to(context.device), model.preprocessing))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    net.eval()
    return model
