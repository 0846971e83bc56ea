"""Quantization: converts a model's float ONNX file to one with integer weights, or integer weights and activations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from core.engine.context import Context, Progress
from core.engine.data.selection import join
from core.engine.forecast import FileSize, Workload
from core.engine.measure.runtime import prepared
from core.engine.method import Method, Saved
from core.engine.model import Model
from core.engine.quantize.validation import Evaluator, cached_evaluator, no_evaluator
from core.engine.seeds import generator


def _go_on() -> None:
    return None


@dataclass(frozen=True)
class Calibration:
    """Calibration images: each call starts again from the first, in preprocessed batches [N, C, S, S]. `rest` is called
    regularly during long work that reads no images, so that a cancelled run can stop there."""

    images: Callable[[], Iterator[NDArray[np.float32]]]
    rest: Callable[[], None] = _go_on

    def __call__(self) -> Iterator[NDArray[np.float32]]:
        return self.images()


@dataclass(frozen=True)
class Conversion:
    """What a conversion did. `layers_*` count the layers that hold weights; `weight_bytes_*` are the bytes their weight
    tensors take in the file (no biases, no scales); `packed_*` is the bit-packed copy, for bit widths without a runtime
    type; `notes` state in English what a user should know about the result."""

    bits: int
    layers_touched: int
    layers_total: int
    weight_bytes_before: int
    weight_bytes_after: int
    packed_path: Path | None = None
    packed_bytes: int | None = None
    notes: tuple[str, ...] = ()


class Quantize(Method, ABC):
    """Stores a network in fewer bits; works on the saved file, and needs no training unless stated otherwise."""

    writes_float: ClassVar[bool] = False

    @abstractmethod
    def convert(
        self, source: Path, target: Path, calibration: Calibration, evaluator: Evaluator = no_evaluator
    ) -> Conversion:
        """Writes the quantized version of the float ONNX file `source` to `target` and keeps its metadata; a method
        that compares alternatives calls `evaluator`.

        Raises UserError when the network has no weights to quantize or the calibration images are unsuitable.
        """

    def only_rounds(self) -> bool:
        """Whether every layer computes the same as in the float file but for rounding: not after further training."""
        return type(self).apply is Method.apply

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Two passes over the calibration images, for a method that uses them."""
        wanted = getattr(self, "calibration_images", 0)
        return (Workload("answer", before, 2 * min(wanted, len(context.labelled) + len(context.pool))),)

    def file_size(self) -> FileSize:
        """`bits` per weight if the method has that option, else 8; a float scale per channel."""
        return FileSize(weight=getattr(self, "bits", 8) / 8, channel=8.0, layer=275.0)

    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """Converts the incoming model's float file, calibrated on training images (labels are not needed)."""
        assert context.source is not None
        return self.saved(context.source, model, path, context)

    def saved(self, source: Path, model: Model, path: Path, context: Context) -> Saved:
        """Converts the float file `source` of `model` to `path`."""
        images = join(context.labelled.images, context.pool)
        order = torch.randperm(len(images), generator=generator(*context.place, "calibration"))

        def batches() -> Iterator[NDArray[np.float32]]:
            for start in range(0, len(order), 64):
                context.stop_if_cancelled()
                context.report(Progress("calibrating", start, len(order)))
                yield from prepared(images[order[start : start + 64]], model.preprocessing)

        calibration = Calibration(batches, context.stop_if_cancelled)
        done = self.convert(source, path, calibration, cached_evaluator(model, context))
        return Saved(
            done.layers_touched,
            done.layers_total,
            (done.packed_path,) if done.packed_path else (),
            done.packed_bytes,
            done.notes,
        )
