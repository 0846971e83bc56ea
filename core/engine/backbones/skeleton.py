"""Networks without memory: their parameters are created on the meta device, which holds shapes only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

FILLED = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn})


class _ParametersOnMeta(TorchFunctionMode):
    """Sends what parameters are made with to the meta device, and nothing else.

    torch.device("meta") would also take torch.linspace and arange, with whose values regnets compute their widths.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in FILLED and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """What `make` builds, with parameters on the meta device; no random number is drawn and no memory used."""
    with _ParametersOnMeta():
        return make()
