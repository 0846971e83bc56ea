"""Quantization-aware training with the shared training loop, and the float network as an optional teacher."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.context import Context
from core.engine.data.selection import join
from core.engine.distill.divergence import softened_divergence
from core.engine.distill.teacher import Teacher, cached_teacher
from core.engine.measure.runtime import prepared
from core.engine.model import Model
from core.engine.output import Output
from core.engine.quantize.fake_quantizers import (
    LearnedRange,
    LearnedStep,
    StraightThrough,
    attach_weights,
    attached_ranges,
    bake_weights,
    input_ranges,
    same_inputs,
)
from core.engine.seeds import generator
from core.engine.training.loop import UNLABELLED, Batch, Examples, Incumbent, Loss, Schedule, fit

TEMPERATURE = 2.0  # of the teacher, which is the network itself in float
AT_ONCE = 32  # images per batch for calibration


@dataclass(frozen=True)
class Rounding:
    """How numbers are rounded in training: bits of the first and last layer, bits of the others, whether steps and
    ranges are learned, and the number of images that set the initial 8-bit ranges (0: activations stay float)."""

    end_bits: int
    bits: int
    learned: bool
    activations_from: int = 0


def train_rounded(model: Model, how: Rounding, schedule: Schedule, teacher_weight: float, context: Context) -> Model:
    """A copy of `model` trained with rounding; its weights lie on their grids, and `ranges` are the learned ones."""
    net = copy.deepcopy(model.net).to(context.device).requires_grad_(True)
    learner = model.with_net(net)
    p = model.preprocessing
    readers = same_inputs(net, torch.zeros(1, p.channels, p.size, p.size, device=context.device))
    quantizers = _activations(learner, how, readers, context)
    inputs = {name: quantizers[_key(first)] for name, first in readers.items() if _key(first) in quantizers}
    attach_weights(net, _weights(how, list(readers)))
    examples = Examples.of(context.labelled, context.pool if teacher_weight else None)
    with attached_ranges(net, inputs), cached_teacher(model, examples, schedule, context) as teacher:
        loss = _loss(teacher_weight, teacher)
        rounded = Incumbent("the network that was rounded without training", came_in=False)
        extra = quantizers if len(quantizers) else None
        fit(learner, examples, loss, schedule, context, extra=extra, incumbent=rounded)
    bake_weights(net)
    return replace(learner, ranges=_ranges(inputs))


def _loss(weight: float, teacher: Teacher) -> Loss:
    """weight · divergence from the teacher + (1 − weight) · cross-entropy of the labelled images."""

    def loss(output: Output, batch: Batch) -> Tensor:
        hard = F.cross_entropy(output.logits, batch.target, ignore_index=UNLABELLED) if weight < 1 else None
        if not weight:
            assert hard is not None
            return hard
        soft = weight * softened_divergence(output.logits, teacher(batch).logits, TEMPERATURE)
        unlabelled = bool((batch.target == UNLABELLED).all())
        return soft if hard is None or unlabelled else soft + (1 - weight) * hard

    return loss


def _weights(how: Rounding, order: list[str]) -> Callable[[str, Tensor], nn.Module]:
    def quantizer(name: str, weight: Tensor) -> nn.Module:
        bits = how.end_bits if name in (order[0], order[-1]) else how.bits
        return LearnedStep(weight, bits) if how.learned else StraightThrough(bits)

    return quantizer


def _activations(model: Model, how: Rounding, readers: Mapping[str, str], context: Context) -> nn.ModuleDict:
    """A quantizer for each tensor that layers read, under the name of the first layer that reads it."""
    if not how.activations_from:
        return nn.ModuleDict()
    images = join(context.labelled.images, context.pool)
    order = torch.randperm(len(images), generator=generator(*context.place, "calibration"))[: how.activations_from]
    batches = [
        torch.from_numpy(batch).to(context.device) for batch in prepared(images[order], model.preprocessing, AT_ONCE)
    ]
    ranges = input_ranges(model.net, batches)
    found = nn.ModuleDict({_key(name): LearnedRange(*ranges[name]) for name in dict.fromkeys(readers.values())})
    return found.requires_grad_(how.learned)


def _ranges(inputs: Mapping[str, nn.Module]) -> tuple[tuple[str, float, float], ...]:
    return tuple((name, *q.range()) for name, q in inputs.items() if isinstance(q, LearnedRange))


def _key(name: str) -> str:
    return name.replace(".", "/")  # torch's module names cannot contain dots
