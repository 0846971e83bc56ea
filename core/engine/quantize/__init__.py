"""Quantize: the float ONNX file of a model becomes one whose weights, or weights and activations, are integers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from core.engine.bench import Bench
from core.engine.forecast import Labour, Packing
from core.engine.measure.runtime import prepared
from core.engine.method import Method, Saved
from core.engine.model import Model
from core.engine.quantize.judging import Judge, jury, unjudged
from core.engine.seeds import generator


def _go_on() -> None:
    return None


@dataclass(frozen=True)
class Calibration:
    """Images to calibrate on: each call starts anew, in batches [N, C, S, S], preprocessed. `rest` is called often
    where no image is looked at for long: there a run stops that is cancelled."""

    images: Callable[[], Iterator[NDArray[np.float32]]]
    rest: Callable[[], None] = _go_on

    def __call__(self) -> Iterator[NDArray[np.float32]]:
        return self.images()


@dataclass(frozen=True)
class Conversion:
    """What a conversion did. `layers_*` count the layers that hold weights; `weight_bytes_*` are the bytes their weight
    tensors take in the file (no biases, no scales); `packed_*` is the bit-packed twin, for bits no runtime type holds;
    `notes` say in English what a person should know about the result."""

    bits: int
    layers_touched: int
    layers_total: int
    weight_bytes_before: int
    weight_bytes_after: int
    packed_path: Path | None = None
    packed_bytes: int | None = None
    notes: tuple[str, ...] = ()


class Quantize(Method, ABC):
    """A way to store a network in fewer bits; works on the saved file, and needs no training unless it says so."""

    writes_float: ClassVar[bool] = False

    @abstractmethod
    def convert(self, source: Path, target: Path, calibration: Calibration, judge: Judge = unjudged) -> Conversion:
        """Writes the quantized twin of the float ONNX file `source` to `target`, its metadata kept; a method that
        chooses asks `judge`.

        Raises UserError when the network has no weights to quantize or the calibration images do not suit it.
        """

    def labour(self, before: Model, after: Model, bench: Bench) -> tuple[Labour, ...]:
        """Two looks at the calibration images, for a method that asks for some."""
        wanted = getattr(self, "calibration_images", 0)
        return (Labour("answer", before, 2 * min(wanted, len(bench.labelled) + len(bench.pool))),)

    def packing(self) -> Packing:
        """`bits` for a weight if it has that option, else 8; a float scale for a channel."""
        return Packing(weight=getattr(self, "bits", 8) / 8, channel=8.0, layer=275.0)

    def save(self, model: Model, path: Path, bench: Bench) -> Saved:
        """Converts the float file of the incoming model, calibrated on training images (labels are not needed)."""
        assert bench.source is not None
        return self.saved(bench.source, model, path, bench)

    def saved(self, source: Path, model: Model, path: Path, bench: Bench) -> Saved:
        """Converts the float file `source` of `model` to `path`."""
        images = torch.cat([bench.labelled.images, bench.pool])
        order = torch.randperm(len(images), generator=generator(*bench.place, "calibration"))

        def batches() -> Iterator[NDArray[np.float32]]:
            for start in range(0, len(order), 64):
                bench.stop_if_cancelled()
                bench.report("calibrating", 0, 1, start, len(order))
                yield from prepared(images[order[start : start + 64]], model.preprocessing)

        calibration = Calibration(batches, bench.stop_if_cancelled)
        done = self.convert(source, path, calibration, jury(model, bench))
        return Saved(
            done.layers_touched, done.layers_total, (done.packed_path,) if done.packed_path else (), done.packed_bytes,
            done.notes,
        )  # fmt: skip
