"""A saved file layer by layer: bytes, multiplications, time, bits, channels, weights, and where rounding errs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Weights:
    """The weights of a layer, as the file computes with them: `counts` of them between `edges`, one more; `values`, the
    numbers that weights of few bits can be in the output channel of median range, empty for floats; `zeros`, the share
    that is 0."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    values: tuple[float, ...]
    zeros: float


@dataclass(frozen=True)
class Layer:
    """A layer with weights. `bytes` are those of its weights, biases, scales and zero points; `macs` the
    multiply-accumulates for an image, None where a shape cannot be inferred; `microseconds` its share of the file's
    latency, None where its kernel was not found in the profile; `bits` those of a stored weight; `channels` its
    outputs, `channels_before` those in the file that this one is held against; `signal_to_noise` that of its output
    against the file in floats, in decibels; `sensitivity` the validation accuracy that rounding this layer alone to 4
    bits costs, where that was measured."""

    name: str
    op: str
    bytes: int
    macs: int | None
    microseconds: float | None
    bits: int
    shape: tuple[int, ...]
    channels: int
    channels_before: int | None
    weights: Weights
    weights_before: Weights | None
    signal_to_noise: float | None = None
    sensitivity: float | None = None


@dataclass(frozen=True)
class Spent:
    """Time in operators without weights, by their name: microseconds for an image."""

    op: str
    microseconds: float


@dataclass(frozen=True)
class Filters:
    """The kernels of the first convolution that sees the image, as one PNG each, in base64, in both files; `removed`
    are the places, in the file before, of those that have no likeness among the others."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    removed: tuple[int, ...]


@dataclass(frozen=True)
class Layers:
    """The layers in the file's order. Their bytes, `constants` (stored numbers of no layer) and `graph` (operators,
    names, labels) add up to `bytes`; their microseconds, those of `others` and those `between` the operators to
    `latency`, the median of `n` runs just now. `slowed`: how many times slower the file was while it was profiled.
    `against` is the file in floats of the signal-to-noise ratio."""

    layers: tuple[Layer, ...]
    bytes: int
    constants: int
    graph: int
    latency: float
    n: int
    threads: int
    noisy: bool
    slowed: float
    others: tuple[Spent, ...]
    between: float
    against: str = ""
    filters: Filters | None = None


@dataclass(frozen=True)
class LayersRequest(Request[Layers]):
    """The file of `point`, named as by `core.run_files.sides.Side.id`, held against that of `before`, '' for none."""

    kind: ClassVar[str] = "layers"

    point: str
    before: str = ""
