"""Memory layout of a network during training, by rule: channels last where it is known to be safe.

In float32 on a CPU, oneDNN (torch 2.15) overruns its buffers in the backward pass of a strided 1 × 1 convolution in
channels-last layout with fewer channels than a vector register holds: below 16 with AVX-512, below 8 with AVX2. The
process is killed by signal 11 or 6, or never returns. Residual networks have such a shortcut in every stage, so narrow
and pruned ones crashed. 16 and more channels and contiguous tensors ran without faults with either instruction set
(tests/core/engine/training/test_crash_matrix.py); the rule excludes every narrow convolution, strided or not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SAFE = 16  # minimum input and output channels of every convolution at which channels last has never crashed
IMAGE = 3  # with at most this many channels the input is an image, not a layer's output
NAMES = {torch.channels_last: "channels last", torch.contiguous_format: "contiguous"}


def choose_layout(net: nn.Module, device: torch.device) -> torch.memory_format:
    """`torch.channels_last` if every convolution of `net` is at least 16 channels wide, else contiguous.

    Time ratio of contiguous to channels last, measured on one thread of a CPU with AMX in float32: resnet8 of width 16
    1.34 (28 px) and 1.65 (64 px), EfficientNet-Lite0 1.42, ShuffleNet 1.30, resnet18 0.86. NVIDIA's kernels accept
    channels last at any width; on Apple's GPU nothing was measured, so its tensors keep torch's default layout.
    """
    if device.type == "cuda":
        return torch.channels_last
    if device.type != "cpu":
        return torch.contiguous_format
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    wide = convolutions and not any(narrow(layer) for layer in convolutions)
    return torch.channels_last if wide else torch.contiguous_format


def arrange(net: nn.Module, layout: torch.memory_format) -> nn.Module:
    """`net` with its convolutions' weights in `layout`, in place; parameters remain the same objects.

    `nn.Module.to` does not change the weights of 1 × 1 convolutions, since both layouts hold the same bytes; but their
    strides determine the layout of the convolution's output.
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
    """Whether a convolution has too few input or output channels, in total or per group of several.

    A stem reads an image's 1 or 3 channels, and is safe unless it is 1 × 1.
    """
    each, made = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    if layer.groups > 1 and each > 1 and min(each, made) < SAFE:
        return True
    stem = layer.in_channels <= IMAGE and layer.kernel_size != (1, 1)
    return layer.out_channels < SAFE or (layer.in_channels < SAFE and not stem)
