"""Forecasts of a method before it runs: the resulting network, the work, and the size of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.engine.training.schedule import Schedule

if TYPE_CHECKING:  # methods are listed without torch
    from core.engine.measure.anatomy import Anatomy
    from core.engine.model import Model

Kind = Literal["train", "forward", "answer"]
JUDGED_AT_ONCE = 256  # batch size of validation, see core.engine.training.loop


@dataclass(frozen=True)
class Forecast:
    """A network with the expected shapes and meaningless weights; `why` says in a sentence why the trained network may
    have other shapes, and is empty if it cannot."""

    model: Model
    why: str = ""


@dataclass(frozen=True)
class Workload:
    """Work of one kind: `images` images pass through `model` in batches of `batch`. `train`: forward, backward and an
    optimizer step; `forward`: in torch; `answer`: by the saved file on the CPU. `control`: whether a control of the
    step repeats it. `operations` are further floating-point operations, which run mostly sequentially."""

    kind: Kind
    model: Model
    images: int
    batch: int = 64
    control: bool = True
    operations: float = 0.0


def training(model: Model, schedule: Schedule, images: int, validation: int, passes: int = 1) -> tuple[Workload, ...]:
    """The work of `training.loop.fit` with this schedule on `images` images, with validation before the first epoch and
    after each; `passes` multiplies the training work for several networks or domains."""
    epochs, batch = schedule.epochs, max(2, schedule.size(images))
    return (
        Workload("train", model, epochs * passes * schedule.drawn(images), passes * batch),
        Workload("forward", model, (epochs + 1) * validation, JUDGED_AT_ONCE),
    )


@dataclass(frozen=True)
class FileSize:
    """The size of a saved file in bytes: per weight, per output channel (bias, scales), per weight tensor (`layer`) and
    per operation (`node`: names, attributes, activation scales).

    The defaults are for float32 ONNX: 165 bytes per operation were measured on 24 networks (88 … 235). Set `weight` for
    files with fewer bits per weight.
    """

    weight: float = 4.0
    channel: float = 4.0
    layer: float = 0.0
    node: float = 165.0

    def bytes(self, parts: Anatomy) -> int:
        """The approximate size of the network's file in bytes, without the labels in it."""
        numbers = self.weight * parts.weights + self.channel * parts.channels + 4 * parts.rest
        return round(numbers + self.layer * parts.layers + self.node * parts.nodes)
