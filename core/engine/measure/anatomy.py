"""The components of a network, counted on the meta device: tensors of its file, operations, activations per image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

from core.engine.measure.complexity import watched

# Operations without a node in an exported graph: they are folded into their neighbours, or have no effect.
SILENT = frozenset(
    {
        "empty",
        "detach",
        "alias",
        "t",
        "expand",
        "clone",
        "copy_",
        "fill_",
        "new_zeros",
        "_unsafe_view",
        "as_strided_",
        "native_batch_norm",
        "cudnn_batch_norm",
        "_native_batch_norm_legit_no_training",
    }
)


@dataclass(frozen=True)
class Anatomy:
    """`weights`: elements of matrices and kernels, which quantization shrinks; `channels`: their rows, each with a bias
    in the file; `rest`: other parameters in it (batch norms are folded away); `layers`: weight tensors; `nodes`:
    operations of the graph; `activations`: elements computed for one image; `largest`: those of one operation."""

    weights: int
    channels: int
    rest: int
    layers: int
    nodes: int
    activations: int
    largest: int


def anatomy(net: nn.Module, shape: tuple[int, int, int]) -> Anatomy:
    """The anatomy of `net` for one image of `shape` (C, H, W); raises what its forward raises."""
    norms = {id(p) for m in net.modules() if isinstance(m, _BatchNorm) for p in m.parameters()}
    kernels = [p for p in net.parameters() if p.ndim > 1]
    vectors = sum(p.numel() for p in net.parameters() if p.ndim < 2 and id(p) not in norms)
    rows = sum(len(p) for p in kernels)
    biases = max(rows, vectors) if norms else vectors
    counter = watched(net, (1, *shape), _Counter)
    return Anatomy(
        weights=sum(p.numel() for p in kernels),
        channels=min(rows, biases),
        rest=biases - min(rows, biases),
        layers=len(kernels),
        nodes=counter.nodes,
        activations=counter.activations,
        largest=counter.largest,
    )


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations and the elements they compute."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes = self.activations = self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        name = func.__name__.partition(".")[0]
        self.nodes += name not in SILENT
        if not func.is_view:
            size = sum(t.numel() for t in _first(made) if t.ndim > 1)
            self.activations += size
            self.largest = max(self.largest, size)
        return made


def _first(made: object) -> Iterable[Tensor]:
    """The output tensor of an operation; of several the first, as the others are statistics."""
    if isinstance(made, tuple | list):
        made = made[0] if made else None
    return (made,) if isinstance(made, Tensor) else ()
