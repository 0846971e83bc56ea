"""Images that stay where they are until some of them are needed: a tensor that holds indices instead of pixels.

A wrapper subclass (https://docs.pytorch.org/docs/stable/notes/extending.html#subclassing-torch-tensor): choosing,
splitting and joining along the first dimension give another selection; everything else reads the pixels it needs. So a
set as large as the disk is trained at flat memory, and its labelled part, its pool and both together are not copies.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.files import make_folder


class Selection(Tensor):
    """Some images of `bases`, tensors [N, C, H, W] of one kind and shape, at `places` int64 [M] counted through all
    bases. Not to be written to."""

    bases: tuple[Tensor, ...]
    places: Tensor

    @staticmethod
    def __new__(cls, bases: Sequence[Tensor], places: Tensor) -> Selection:
        shape = (len(places), *bases[0].shape[1:])
        made = Tensor._make_wrapper_subclass(cls, shape, dtype=bases[0].dtype, device=bases[0].device)
        made.bases, made.places = tuple(bases), places
        return made

    def __init__(self, bases: Sequence[Tensor], places: Tensor) -> None: ...

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Selection({tuple(self.shape)} of {sum(map(len, self.bases))} images)"

    def read(self, places: Tensor | None = None) -> Tensor:
        """The images as an ordinary tensor, all or those at `places` of the selection, copied."""
        chosen = self.places if places is None else self.places[places]
        if len(self.bases) == 1:
            return self.bases[0].index_select(0, chosen)
        made = torch.empty((len(chosen), *self.shape[1:]), dtype=self.dtype)
        first = 0
        for base in self.bases:
            here = (chosen >= first) & (chosen < first + len(base))
            made[here] = base.index_select(0, chosen[here] - first)
            first += len(base)
        return made

    def numpy(self, *, force: bool = False) -> NDArray[Any]:
        """The images as an array, copied."""
        return self.read().numpy()

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in DESCRIBING:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        lazy = LAZY.get(func)
        if lazy is not None and (found := lazy(*args, **(kwargs or {}))) is not None:
            return found
        return func(*_read(args), **_read(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[Any, Any] | None = None
    ) -> Any:
        return func(*_read(args), **_read(kwargs or {}))


def _read(values: Any) -> Any:
    """The same with every selection in it read."""
    return torch.utils._pytree.tree_map_only(Selection, Selection.read, values)


def choose(images: Tensor, places: Sequence[int] | Tensor | NDArray[np.int64]) -> Tensor:
    """The images at these places, in this order, without copying them; a boolean mask chooses where it is true."""
    index = torch.as_tensor(places)
    index = index.nonzero()[:, 0] if index.dtype == torch.bool else index.to(torch.int64)
    if isinstance(images, Selection):
        return Selection(images.bases, images.places[index])
    return Selection([images], torch.arange(len(images))[index])  # negative places count from the end


def join(*parts: Tensor) -> Tensor:
    """The images of all parts, one after another, without copying them."""
    return cast(Tensor, _cat(parts))


def evenly(images: Tensor, most: int) -> tuple[Tensor, ...]:
    """The images in as few parts as hold at most `most` each, of sizes that differ by one at most: where every part
    counts equally, as in an average of batch statistics, none of a few images may."""
    return torch.tensor_split(images, max(1, math.ceil(len(images) / most)))


def mapped(pixels: NDArray[Any]) -> Tensor:
    """An array that cannot be written to, such as a mapped file, as a tensor; torch warns of writing, nobody does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(pixels)


def spilled(blocks: Iterable[Tensor], shape: Sequence[int], folder: Path) -> Tensor:
    """uint8 blocks, together of `shape`, written to a file in `folder` that has no name, and mapped.

    The file goes when the tensor goes, or with the process. Raises OSError when the disk is full.
    """
    make_folder(folder)
    with tempfile.TemporaryFile(dir=folder) as file:
        for block in blocks:
            file.write(block.contiguous().numpy().data)
        file.flush()
        return mapped(np.memmap(file, np.uint8, "r", shape=tuple(shape)))


def _item(images: Tensor, index: Any) -> Tensor | None:
    if not isinstance(images, Selection):
        return None
    if isinstance(index, slice):
        return Selection(images.bases, images.places[index])
    if isinstance(index, int):
        return images.read(torch.tensor([index]))[0]
    if isinstance(index, list) or (isinstance(index, Tensor) and index.ndim == 1):
        chosen = choose(images, index)
        assert isinstance(chosen, Selection)
        return chosen.read()
    return None


def _split(images: Tensor, size: int | list[int], dim: int = 0) -> tuple[Tensor, ...] | None:
    if not isinstance(images, Selection) or dim:
        return None
    return tuple(Selection(images.bases, places) for places in torch.split(images.places, size))


def _tensor_split(images: Tensor, parts: Any, dim: int = 0) -> tuple[Tensor, ...] | None:
    if not isinstance(images, Selection) or dim:
        return None
    return tuple(Selection(images.bases, places) for places in torch.tensor_split(images.places, parts))


def _cat(parts: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    if dim or len({(part.shape[1:], part.dtype) for part in parts}) > 1:
        return None
    bases: list[Tensor] = []
    places = []
    for part in parts:
        taken = part if isinstance(part, Selection) else choose(part, torch.arange(len(part)))
        assert isinstance(taken, Selection)
        places.append(taken.places + sum(map(len, bases)))
        bases.extend(taken.bases)
    return Selection(bases, torch.cat(places))


def _itself(images: Tensor) -> Tensor:
    return images


LAZY: dict[Any, Callable[..., Any]] = {
    Tensor.__getitem__: _item,
    Tensor.contiguous: _itself,
    Tensor.detach: _itself,
    Tensor.split: _split,
    torch.split: _split,
    torch.tensor_split: _tensor_split,
    torch.cat: _cat,
}
DESCRIBING = {
    getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "requires_grad", "is_cuda")
} | {Tensor.size, Tensor.dim, Tensor.numel, Tensor.nelement, Tensor.__len__, Tensor.is_floating_point}
