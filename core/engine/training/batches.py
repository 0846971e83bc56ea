"""Training data: the examples, and batches of them, drawn, augmented and prepared with seeds from their position."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.context import Context
from core.engine.data import Split
from core.engine.data.augment import augment, erase, prepare
from core.engine.data.selection import join, spilled
from core.engine.model import Model
from core.engine.seeds import generator
from core.engine.training.memory_layout import arranged
from core.engine.training.mixup import Mixture, mix
from core.engine.training.schedule import Schedule
from core.errors import UserError

UNLABELLED = -1
IN_MEMORY = 2**28  # bytes of a view


@dataclass(frozen=True)
class Batch:
    """images [N, C, S, S], prepared for the network; raw [N, c, h, w], the uint8 images they come from; target [N],
    −1 if there is no label; index [N] into the training images; view: the number of their fixed view; epoch, from 0;
    progress: the fraction of all batches done, from 0 towards 1.

    mixture: how images of the batch were mixed, None if they were not; `target`, `index` and `view` are then those of
    the original image, `images` and `raw` the mixed ones.

    With `Examples.beside`, images and target hold 2 N: those of the other domain follow the N of raw and index.
    """

    images: Tensor
    raw: Tensor
    target: Tensor
    index: Tensor
    view: int
    epoch: int = 0
    progress: float = 0.0
    mixture: Mixture | None = None


@dataclass(frozen=True)
class Examples:
    """uint8 images [N, C, H, W] and their labels [N], −1 if there is none. `beside` holds images of another domain, of
    any size, which follow unlabelled in every batch, as many as of the others; they do not lengthen an epoch."""

    images: Tensor
    target: Tensor
    beside: Tensor | None = None

    @classmethod
    def of(cls, split: Split, pool: Tensor | None = None) -> Examples:
        """The labelled split, followed by unlabelled images if given."""
        if pool is None or not len(pool):
            return cls(split.images, split.labels)
        unlabelled = torch.full((len(pool),), UNLABELLED, dtype=torch.long)
        return cls(join(split.images, pool), torch.cat([split.labels, unlabelled]))

    def __len__(self) -> int:
        return len(self.target)


def view(images: Tensor, schedule: Schedule, context: Context, number: int) -> Tensor:
    """The fixed view `number` of all training images, uint8; view 0 is the images themselves.

    Drawn in blocks of 1,024 so that each can be recreated without the others. More than `IN_MEMORY` bytes lie in a
    nameless file in the step's folder.
    """
    if number == 0 or schedule.augment == "none":
        return images
    blocks = (
        augment(block.clone(), schedule.augment, generator(*context.place, "view", number, i))
        for i, block in enumerate(torch.split(images, 1024))
    )
    return torch.cat(list(blocks)) if images.numel() <= IN_MEMORY else spilled(blocks, images.shape, context.folder)


@dataclass(frozen=True)
class Feed:
    """The batches of every epoch: `size` examples each (the last may have fewer), `batches` per epoch, in `layout`.

    Raises UserError `conflicting_options` if images without a label would be mixed.
    """

    examples: Examples
    schedule: Schedule
    model: Model
    context: Context
    layout: torch.memory_format = torch.contiguous_format

    def __post_init__(self) -> None:
        mixed = next((name for name in ("mixup", "cutmix") if getattr(self.schedule, name)), None)
        if mixed and bool((self.examples.target == UNLABELLED).any()):
            fix = f"Set {mixed} to 0, or train on labelled images alone (labels = 0)."
            given = f"{getattr(self.schedule, mixed):g} with unlabelled images"
            raise UserError("conflicting_options", mixed, given, "0 where labels leaves images unlabelled", fix)

    @property
    def size(self) -> int:
        return self.schedule.size(len(self.examples))

    @property
    def batches(self) -> int:
        return self.schedule.length(len(self.examples))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, with its order and augmentations."""
        examples, schedule, place = self.examples, self.schedule, self.context.place
        number = epoch % schedule.views if schedule.views else 0
        images = view(examples.images, schedule, self.context, number) if schedule.views else examples.images
        wanted = schedule.drawn(len(examples))
        drawn = order(len(examples), wanted, generator(*place, "shuffle", epoch))
        others = self._others(wanted, epoch)
        for step, index in enumerate(torch.split(drawn, self.size)[: self.batches]):
            raw, mixture = self._changed(images[index].to(self.context.device), epoch, step)
            prepared = prepare(raw, self.model.preprocessing)
            target = examples.target[index].to(self.context.device)
            if examples.beside is not None:
                chosen = others[step * self.size : step * self.size + len(index)]
                prepared = torch.cat([prepared, self._beside(examples.beside[chosen], epoch, step)])
                target = torch.cat([target, target.new_full((len(chosen),), UNLABELLED)])
            prepared = arranged(prepared, self.layout)
            progress = (epoch * self.batches + step) / (self.batches * schedule.epochs)
            yield Batch(prepared, raw, target, index, number, epoch, progress, mixture)

    def _others(self, wanted: int, epoch: int) -> Tensor:
        """Indices of the images of the other domain, in order; empty if there is none."""
        if self.examples.beside is None:
            return torch.empty(0, dtype=torch.long)
        return order(len(self.examples.beside), wanted, generator(*self.context.place, "beside", epoch))

    def _beside(self, images: Tensor, epoch: int, step: int) -> Tensor:
        """Images of the other domain, augmented with their own random draws and prepared."""
        images = images.to(self.context.device)
        if self.schedule.augment != "none":
            draw = generator(*self.context.place, "augment beside", epoch, step, device=self.context.device)
            images = augment(images, self.schedule.augment, draw)
        return prepare(images, self.model.preprocessing)

    def _changed(self, images: Tensor, epoch: int, step: int) -> tuple[Tensor, Mixture | None]:
        """Augmented unless the view is fixed, erased, mixed: each with its own random draws."""
        schedule = self.schedule

        def draw(what: str) -> torch.Generator:
            return generator(*self.context.place, what, epoch, step, device=self.context.device)

        if not schedule.views and schedule.augment != "none":
            images = augment(images, schedule.augment, draw("augment"))
        if schedule.erasing:
            images = erase(images, schedule.erasing, draw("erase"))
        if schedule.mixup or schedule.cutmix:
            return mix(images, schedule.mixup, schedule.cutmix, draw("mix"))
        return images, None


def order(count: int, wanted: int, draw: torch.Generator) -> Tensor:
    """At least `wanted` indices: successive permutations of all examples."""
    return torch.cat([torch.randperm(count, generator=draw) for _ in range(math.ceil(wanted / count))])
