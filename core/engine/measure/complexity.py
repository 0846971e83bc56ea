"""Parameters, multiply-accumulates and bytes, counted exactly without running the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from core.engine.backbones import find, skeleton
from core.engine.backbones.heads import evaluating
from core.engine.backbones.skeleton import on_meta
from core.errors import UserError
from core.questions.profile import Profile

Watch = TypeVar("Watch", bound=AbstractContextManager[Any])


@dataclass(frozen=True)
class Complexity:
    """`params`: parameters; `macs`: multiply-accumulates per image; `bytes`: of parameters and buffers in memory."""

    params: int
    macs: int
    bytes: int


def complexity(model: nn.Module, input_shape: Sequence[int]) -> Complexity:
    """The cost of `model` for one input of `input_shape`: (C, H, W) or with a leading batch dimension, (N, C, H, W);
    for a network on vectors (D,) or (N, D).

    MACs are those of convolutions, matrix products and attention (FlopCounterMode counts two operations for each), as
    published by torchvision; additions, activations and normalisation are not counted.
    """
    shape = tuple(input_shape)
    if len(shape) not in (1, 2, 3, 4) or min(shape) < 1:
        allowed = "(channels, height, width), with or without a leading batch dimension"
        raise UserError("wrong_shape", "input_shape", shape, allowed, "Use whole numbers of at least 1.")
    single = shape if len(shape) % 2 else shape[1:]
    tensors = [*model.parameters(), *model.buffers()]
    params = sum(p.numel() for p in model.parameters())
    return Complexity(params, _macs(model, (1, *single)), sum(t.numel() * t.element_size() for t in tensors))


def profile(backbone: str, classes: int | None = None, image_size: int | None = None) -> Profile:
    """The complexity of a backbone of the catalog as its authors count it, without loading weights or using memory.

    With its own classes and image size, params and MACs are torchvision's published figures. (inception_v3's count
    includes the auxiliary classifier that load_backbone leaves out.) Raises UserError for an invalid argument.
    """
    entry = find(backbone)
    size = image_size or entry.image_size
    found = complexity(skeleton(backbone, classes, size), (entry.channels, size, size))
    return Profile(backbone, found.params, found.macs, found.bytes, size)


class Counted(TypedDict):
    """Parameters and multiply-accumulates, as fields of a backbone's card."""

    params: int
    macs: int


def counted(make: Callable[[], nn.Module], channels: int, size: int) -> Counted:
    """`params` and `macs` of the network that `make` builds, for one image of `size` × `size` pixels, without weights
    or memory."""
    found = complexity(on_meta(make), (channels, size, size))
    return {"params": found.params, "macs": found.macs}


def _macs(model: nn.Module, shape: tuple[int, ...]) -> int:
    return int(watched(model, shape, lambda: FlopCounterMode(display=False)).get_total_flops()) // 2


def watched(model: nn.Module, shape: tuple[int, ...], watch: Callable[[], Watch]) -> Watch:
    """The context that observed one forward pass of zeros of `shape` through `model`: on the meta device if every
    operation supports it, else a new one that observed a real forward pass."""
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    named = (*model.named_parameters(), *model.named_buffers())
    state = {name: torch.empty_like(tensor, device="meta") for name, tensor in named}
    try:
        return _seen(model, state, torch.empty(shape, device="meta", dtype=dtype), watch())
    except (RuntimeError, NotImplementedError, TypeError):  # an operation that needs values, or a loose tensor
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        return _seen(model, {}, torch.zeros(shape, device=device, dtype=dtype), watch())


def _seen(model: nn.Module, state: dict[str, Tensor], example: Tensor, watch: Watch) -> Watch:
    with evaluating(model), torch.no_grad(), slow_attention(), watch:
        functional_call(model, state, (example,))
    return watch


@contextmanager
def slow_attention() -> Iterator[None]:
    """Disables nn.MultiheadAttention's fused kernel, whose matrix products the counter cannot see."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
