"""AdaBN: the batch-norm statistics of the target in place of the source's."""

from __future__ import annotations

import math

import torch

from core.engine.bench import Bench
from core.engine.data import Unlabelled, prepare
from core.engine.model import Model
from core.engine.transfer.adaptation import Settling, statistics_layers
from core.options import Words

AT_ONCE = 256  # images whose statistics are taken together


class Adabn(Settling):
    """Every weight stays; means and variances become those of the target's images (Li et al. 2016, arXiv:1603.04779).

    They are averages over equal batches of about 256, each normalised by its own, in one pass.
    """

    title = Words("Adaptation: AdaBN", "域适应:AdaBN")
    summary = Words(
        "After learning the labels, only the batch-norm means and variances are taken anew from target images.",
        "学完标签后,仅用目标域图像重新估计批归一化的均值和方差。",
    )
    source = "https://arxiv.org/abs/1603.04779"

    def settle(self, model: Model, bench: Bench, target: Unlabelled) -> Model:
        """Statistics of all target images."""
        return with_statistics(model, bench, target)


def with_statistics(model: Model, bench: Bench, target: Unlabelled) -> Model:
    """`model`, changed in place: its running means and variances are the averages over the target's images."""
    net, layers = model.net.to(bench.device).eval(), statistics_layers(model.net)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average of all batches
        layer.train()
    with torch.no_grad():
        for part in torch.tensor_split(target.images, math.ceil(len(target.images) / AT_ONCE)):
            bench.stop_if_cancelled()
            net(prepare(part.to(bench.device), model.preprocessing))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    net.eval()
    return model
