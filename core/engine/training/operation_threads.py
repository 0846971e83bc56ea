"""The number of threads for each operation of a training, from the work of the network's operations alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.engine.backbones.heads import evaluating
from core.engine.model import Preprocessing
from core.engine.threads import shared


def operation_threads(
    net: nn.Module, preprocessing: Preprocessing, batch: int, cores: int, device: torch.device
) -> int:
    """The threads for the mean operation on a batch, at most `cores`; 1 on devices other than a CPU."""
    if cores == 1 or device.type != "cpu":
        return 1
    shape = (1, preprocessing.channels, preprocessing.size, preprocessing.size)
    return shared(batch * mean_work(net, shape), cores)


def mean_work(net: nn.Module, shape: tuple[int, ...]) -> float:
    """Multiply-accumulates of the forward pass of one image, divided by the number of convolutions and linear layers
    that do them; 0 without any."""
    found: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        found.append(layer.weight[0].numel() * output.numel())

    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with evaluating(net), torch.no_grad():
            net(torch.zeros(shape, device=next(net.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(found) / len(found) if found else 0.0
