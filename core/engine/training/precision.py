"""Number format of training, by rule: as the recipe specifies, else what suits the network on this kind of processor.

It does not depend on timing, so the same recipe and seed give the same weights however busy the machine is.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch
from torch import nn

from core.engine.context import Context
from core.engine.training.memory_layout import narrow
from core.hardware.machine import bfloat16_units

FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
NONE = "none"  # no unit of the device multiplies bfloat16 faster than float32


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[None]:
    """Autocast to `precision`; float32 means none."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def name_of(precision: torch.dtype) -> str:
    """`float32` or `bfloat16`, as in a recipe."""
    return next(name for name, kind in FORMATS.items() if kind == precision)


def choose_precision(net: nn.Module, context: Context) -> torch.dtype:
    """As the recipe specifies; for `auto` bfloat16 if the device has units for it (`context.bfloat16`) and the network
    is dense and wide, else float32.

    Time ratio of float32 to bfloat16 for a training step on one thread with AMX: resnet8 of width 16 1.9 (28 px) and
    2.2 (64 px), resnet18 1.3; but with grouped convolutions ShuffleNet 0.62, MobileNet-V3 0.64, EfficientNet-Lite0
    0.56, RegNet 1.07, and ViT-B/32 0.73, an mlp 1.0. Resnet8 of width 8 would gain 1.4 but stays in float32, as it has
    little precision to lose.
    """
    if context.precision != "auto":
        return FORMATS[context.precision]
    return torch.bfloat16 if context.bfloat16 != NONE and dense_and_wide(net) else torch.float32


def dense_and_wide(net: nn.Module) -> bool:
    """Whether the network consists of convolutions, none grouped or narrower than 16 channels (except for image input),
    without attention, which is recognised by its layer norms."""
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    attends = any(isinstance(module, nn.LayerNorm) for module in net.modules())
    return bool(convolutions) and not attends and not any(layer.groups > 1 or narrow(layer) for layer in convolutions)


def bfloat16_of(device: torch.device) -> str:
    """The units of `device` that multiply bfloat16, or `none`: the basis of `auto`, recorded with each run."""
    if device.type == "cuda":
        return "tensor cores" if torch.cuda.get_device_capability(device) >= (8, 0) else NONE
    return bfloat16_units() or NONE if device.type == "cpu" else NONE


def kind_of(device: torch.device) -> str:
    """The hardware properties that affect the last digits of a computation, as they determine the kernels used."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} {torch.cuda.get_device_capability(device)}"
    limits = [f"{name}={os.environ[name]}" for name in ("ONEDNN_MAX_CPU_ISA", "MKL_CBWR") if os.environ.get(name)]
    return " ".join([device.type, torch.backends.cpu.get_cpu_capability(), bfloat16_of(device), *limits])
