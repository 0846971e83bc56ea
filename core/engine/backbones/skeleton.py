"""Networks without memory: their parameters are created on the meta device, which stores only shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

FILLED = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn})


class _ParametersOnMeta(TorchFunctionMode):
    """Creates parameters, and nothing else, on the meta device.

    torch.device("meta") would also affect torch.linspace and arange, whose values regnets need to compute their widths.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in FILLED and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """The network that `make` builds, with parameters on the meta device; draws no random numbers, uses no memory."""
    with _ParametersOnMeta():
        return make()
