"""Memory layout of a network while it trains, by rule: channels last where it is known to be safe.

In float32 on a CPU, oneDNN (torch 2.15) overruns its buffers in the backward pass of a strided 1 × 1 convolution whose
channels lie last and are fewer than a vector holds: below 16 with AVX-512, below 8 with AVX2. The process dies by
signal 11 or 6, or never returns. Residual networks have such a shortcut in every stage, so narrow ones, and pruned
ones, died. 16 and more channels and contiguous tensors ran clean with either instruction set (tests/core/engine/
test_crash_matrix.py); the rule keeps clear of every narrow convolution, strided or not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SAFE = 16  # channels into and out of every convolution, from which channels last has not been seen to crash
IMAGE = 3  # at most so many channels come from an image, not from a layer
NAMES = {torch.channels_last: "channels last", torch.contiguous_format: "contiguous"}


def choose_layout(net: nn.Module, device: torch.device) -> torch.memory_format:
    """`torch.channels_last` where every convolution of `net` is at least 16 channels wide, else contiguous.

    Measured on one thread of a CPU with AMX in float32, contiguous over channels last: resnet8 of width 16 1.34 (28 px)
    and 1.65 (64 px), EfficientNet-Lite0 1.42, ShuffleNet 1.30, resnet18 0.86. NVIDIA's kernels take channels last
    whatever the width; on Apple's GPU nothing was measured, so its tensors stay as torch makes them.
    """
    if device.type == "cuda":
        return torch.channels_last
    if device.type != "cpu":
        return torch.contiguous_format
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    wide = convolutions and not any(narrow(layer) for layer in convolutions)
    return torch.channels_last if wide else torch.contiguous_format


def arrange(net: nn.Module, layout: torch.memory_format) -> nn.Module:
    """`net` with its convolutions' weights in `layout`, in place; parameters stay the same objects.

    `nn.Module.to` leaves the weights of 1 × 1 convolutions as they lie, since both layouts hold the same bytes; but
    their strides decide which layout a convolution takes for its answer.
    """
    for module in net.modules():
        for tensor in module.parameters(recurse=False):
            if tensor.ndim == 4:
                tensor.data = tensor.data.clone(memory_format=layout)
                if tensor.grad is not None:
                    tensor.grad = None
    return net


def arranged(images: Tensor, layout: torch.memory_format) -> Tensor:
    """Images [N, C, H, W] in `layout`."""
    return images.contiguous(memory_format=layout)


def narrow(layer: nn.Conv2d) -> bool:
    """Whether a convolution has too few channels on one side, or in a group of several.

    A stem reads an image's 1 or 3 channels, and is safe unless it is 1 × 1.
    """
    each, made = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    if layer.groups > 1 and each > 1 and min(each, made) < SAFE:
        return True
    stem = layer.in_channels <= IMAGE and layer.kernel_size != (1, 1)
    return layer.out_channels < SAFE or (layer.in_channels < SAFE and not stem)
