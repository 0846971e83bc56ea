"""The from-scratch control of pruning: a network of the same shape with random initial weights."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from core.engine.backbones import load_backbone
from core.engine.context import Context
from core.engine.model import Model
from core.engine.prune.masks import kernels
from core.engine.seeds import counter_seed


def reinitialize(thinned: Model, zeros: bool, context: Context) -> nn.Module:
    """A network of `thinned`'s shapes with its backbone's random initialisation, drawn from the context's seed.

    Each tensor is the corner of the newly initialised full backbone's; kernels are scaled up to compensate for removed
    inputs, so that activations keep their scale. With `zeros`, weights that are exactly zero in `thinned` are zero here
    too.
    """
    p = thinned.preprocessing
    torch.manual_seed(counter_seed(*context.place, "scratch"))
    whole = load_backbone(
        thinned.backbone, len(thinned.classes), "none", p.size, width=thinned.width, channels=p.channels
    )
    net, fresh = copy.deepcopy(thinned.net), whole.state_dict()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            kept = tensor != 0 if zeros and name in kernels(net) else 1
            tensor.copy_(_corner(fresh[name], tensor.shape) * kept)
    return net


def _corner(whole: Tensor, shape: torch.Size) -> Tensor:
    corner = whole[tuple(slice(size) for size in shape)]
    if whole.ndim in (2, 4) and whole.is_floating_point():
        return corner * math.sqrt(whole[0].numel() / corner[0].numel())
    return corner
