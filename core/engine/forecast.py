"""What a method can say before it is done: the network it will make, the work that takes, the bytes of its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.engine.training.schedule import Schedule

if TYPE_CHECKING:  # methods are listed without torch
    from core.engine.measure.anatomy import Anatomy
    from core.engine.model import Model

Kind = Literal["train", "forward", "answer"]
JUDGED_AT_ONCE = 256  # images of a batch that validation takes, see core.engine.training.loop


@dataclass(frozen=True)
class Forecast:
    """A network with the right shapes, whose weights mean nothing; `why` says in a sentence why the trained network
    may come out with other shapes, and is empty where it cannot."""

    model: Model
    why: str = ""


@dataclass(frozen=True)
class Workload:
    """`images` images pass through `model`, `batch` at a time: `train` forward, backward and a step of the optimizer;
    `forward` in torch; `answer` by its saved file where that runs on the CPU. `control`: whether a control of the step
    does the same again. `operations` are floating-point operations beside, of which a processor does few at once."""

    kind: Kind
    model: Model
    images: int
    batch: int = 64
    control: bool = True
    operations: float = 0.0


def training(model: Model, schedule: Schedule, images: int, validation: int, passes: int = 1) -> tuple[Workload, ...]:
    """`training.loop.fit` by this schedule on `images` images, with a look at the validation images before the first
    epoch and after each; `passes` networks or domains take as many images in addition."""
    epochs, batch = schedule.epochs, max(2, schedule.size(images))
    return (
        Workload("train", model, epochs * passes * schedule.drawn(images), passes * batch),
        Workload("forward", model, (epochs + 1) * validation, JUDGED_AT_ONCE),
    )


@dataclass(frozen=True)
class FileSize:
    """Bytes that a saved file takes: for each weight, for each output channel (bias, scales), for each tensor of
    weights and each operation (names, attributes, the scales of activations).

    The defaults are those of float32 ONNX: 165 bytes an operation were measured on 24 networks (88 … 235). For a file
    that holds the weights in fewer bits say so in `weight`.
    """

    weight: float = 4.0
    channel: float = 4.0
    layer: float = 0.0
    node: float = 165.0

    def bytes(self, parts: Anatomy) -> int:
        """About how many bytes the file of such a network has, without the labels in it."""
        numbers = self.weight * parts.weights + self.channel * parts.channels + 4 * parts.rest
        return round(numbers + self.layer * parts.layers + self.node * parts.nodes)
