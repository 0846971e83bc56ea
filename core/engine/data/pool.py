"""The pool of a recipe: another dataset whose images are learned from without labels, made like those of the data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.engine.data.augment import LUMINANCE, resize
from core.engine.data.dataset import AT_ONCE, Dataset
from core.engine.data.imports.near_duplicates import SIDE, Pixels, near_any, standardized
from core.engine.data.photos import Progress
from core.engine.data.selection import choose, join, spilled
from core.errors import UserError


@dataclass(frozen=True)
class Pool:
    """`images` uint8 [M, C, H, W], of the size and channels of the labelled ones; `notes` say what was changed and left
    out; `content_hash` is that of the dataset."""

    name: str
    images: Tensor
    content_hash: str
    notes: tuple[str, ...] = ()

    def about(self, own: int) -> tuple[str, ...]:
        """Sentences for the receipt; `own` counts the dataset's own images whose labels are not used."""
        more = f" and {own:,} training images of the dataset whose labels are not used" if own else ""
        return (f"Learned without labels from {len(self.images):,} images of {self.name}{more}.", *self.notes)


def pool_of(found: Dataset, data: Dataset, sizes: Mapping[str, int | None], scratch: Path, report: Progress) -> Pool:
    """The training images of `found`, made like those of `data`, without copies of its validation and test images.

    `sizes` gives the side in pixels that the images of a dataset come with, None if they have many; `scratch` is a
    folder for what does not fit into memory. `report` may raise to stop. Raises UserError if nothing is left.
    """
    images = like(found.train.images, data, scratch)
    copies = held_out(images, data, report)
    left = choose(images, torch.from_numpy(copies == 0))
    if not len(left):
        given = f"{found.name}: each of its {len(images):,} images is a copy of a validation or test image"
        raise UserError("empty_pool", "pool", given, f"images that {data.name} does not hold out", "Name another pool.")
    notes = [*changes(found, data, sizes), *_left_out(found.name, copies, data.name)]
    return Pool(found.name, left, found.content_hash, tuple(notes))


def like(images: Tensor, data: Dataset, scratch: Path) -> Tensor:
    """uint8 images [N, c, h, w] in the size and channels of `data`; the same tensor if they are so already."""
    shape = (len(images), data.channels, data.size, data.size)
    if images.shape == shape:
        return images
    blocks = (_converted(block, data.size, data.channels) for block in torch.split(images, AT_ONCE))
    return spilled(blocks, shape, scratch)


def _converted(images: Tensor, size: int, channels: int) -> Tensor:
    pixels = resize(images, size)
    if channels == 1 and pixels.shape[1] == 3:
        pixels = (pixels * torch.tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return pixels.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1).contiguous()


def held_out(images: Tensor, data: Dataset, report: Progress) -> Pixels:
    """uint8 [N]: 2 for an image with the pixels of a validation or test image of `data`, 1 for one that is nearly such
    an image (imports.near_duplicates), else 0."""
    held = join(data.validation.images, data.test.images)
    known = {digest for block in torch.split(held, AT_ONCE) for digest in _digests(block)}
    rows = standardized(np.concatenate([_copies(block) for block in torch.split(held, AT_ONCE)]))
    found = np.zeros(len(images), np.uint8)
    for start in range(0, len(images), AT_ONCE):
        report("comparing images", start, len(images))
        block = images[start : start + AT_ONCE]
        same = np.array([digest in known for digest in _digests(block)])
        found[start : start + len(block)] = np.where(same, 2, near_any(_copies(block), rows))
    return found


def _digests(images: Tensor) -> Iterator[bytes]:
    return (hashlib.sha256(image.tobytes()).digest() for image in images.numpy())


def _copies(images: Tensor) -> Pixels:
    """Small grey copies uint8 [N, SIDE · SIDE]."""
    grey = images.float().mean(1, keepdim=True)
    small = functional.adaptive_avg_pool2d(grey, SIDE)
    copies: Pixels = small.round().to(torch.uint8).flatten(1).numpy()
    return copies


def changes(found: Dataset, data: Dataset, sizes: Mapping[str, int | None]) -> Iterator[str]:
    """What had to be changed to make the images of `found` like those of `data`, a sentence each."""
    ours, theirs = sizes.get(data.name), sizes.get(found.name)
    if ours and theirs != ours:
        came = f"{theirs} × {theirs} pixels" if theirs else "their sizes"
        yield f"The images of {found.name} were resized from {came} to {ours} × {ours}, as those of {data.name} are."
    if found.channels != data.channels:
        yield f"The images of {found.name} were converted from {_colour(found)} to {_colour(data)}."


def unlike(found: Dataset, data: Dataset) -> str:
    """A sentence if the images of a target differ from those of `data` in size or channels; otherwise empty."""
    if (found.size, found.channels) == (data.size, data.channels):
        return ""
    theirs, ours = (f"{each.size} pixels, {_colour(each)}" for each in (found, data))
    return (
        f"The images of {found.name} ({theirs}) are not like those of {data.name} ({ours}); both are converted to the "
        "network's input."
    )


def _colour(data: Dataset) -> str:
    return "grey" if data.channels == 1 else "colour"


def _left_out(name: str, copies: Pixels, data: str) -> Iterator[str]:
    exact, near = int((copies == 2).sum()), int((copies == 1).sum())
    if exact or near:
        which = " and ".join(
            [*([f"{exact:,} equal to"] if exact else []), *([f"{near:,} nearly equal to"] if near else [])]
        )
        yield f"Left out of {name}: {which} validation or test images of {data}."
