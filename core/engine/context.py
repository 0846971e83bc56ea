"""The context of a step: data, device, seed, and the one way to report progress."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from core.engine.data import Dataset, Split, Unlabelled
from core.events import Work
from core.hardware.machine import no_device


def _ignore_note(code: str, message: str) -> None:
    return None


def _with_others() -> AbstractContextManager[bool]:
    return nullcontext(True)


class CancelledError(Exception):
    """A person asked the run to stop; raised between two batches."""


@dataclass(frozen=True)
class Figures:
    """Numbers of a progress report; None if not computed. Accuracies from 0 to 1, images per second, seconds left."""

    loss: float | None = None
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    samples_per_second: float | None = None
    eta_seconds: float | None = None


NOTHING = Figures()


@dataclass(frozen=True)
class Progress:
    """How far the work is: `done` of `total` (batches, images, bytes; 0 if the total is not known) in epoch `epoch` of
    `epochs`, both from 0 up to their totals. At the end of an epoch `epoch` is one more and `done` is 0. `control`
    names the control being made, empty for the step itself."""

    what: Work
    done: int = 0
    total: int = 1
    epoch: int = 0
    epochs: int = 1
    figures: Figures = NOTHING
    control: str = ""


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """A report function that does nothing."""


@dataclass(frozen=True)
class Context:
    """Everything a step may use in addition to the incoming model.

    `labelled` is the part of the training split whose labels may be used, `pool` the images uint8 [M, C, H, W] whose
    labels may not. `source` is the float32 ONNX file of the incoming model, `artifact` the file of the previous step;
    None if not saved. `target` is the recipe's target domain. `about_pool` says where the images of `pool` come from,
    for the receipts of the steps that learn from them. `folder` holds this step's checkpoints, `cache` what
    other runs may reuse, keyed by content. `place` seeds every random draw: (seed, step, purpose). `bfloat16` names the
    device's hardware unit for that number format, or is `none`; with it and the network, `auto` chooses the precision.
    `note` records remarks for the receipt. In a block `with alone() as is_alone`, other work of this program waits, so
    that latency can be measured; `is_alone` is False if some did not.
    """

    data: Dataset
    labelled: Split
    pool: Tensor
    device: torch.device
    threads: int
    precision: str
    image_size: int
    weights: str
    folder: Path
    cache: Path
    place: tuple[int | str, ...]
    report: Report
    warn: Callable[[str, str], None]
    cancelled: Callable[[], bool]
    source: Path | None = None
    artifact: Path | None = None
    target: Unlabelled | None = None
    latency_threads: int = 1
    bfloat16: str = "none"
    about_pool: tuple[str, ...] = ()
    note: Callable[[str, str], None] = _ignore_note
    alone: Callable[[], AbstractContextManager[bool]] = _with_others

    def remark(self, code: str, message: str) -> None:
        """Issues a warning about the training, and records it for the receipt of the resulting model."""
        self.warn(code, message)
        self.note(code, message)

    def remark_on_pool(self) -> None:
        """Records where the pool comes from, if the recipe names one; for steps that learn from it."""
        for sentence in self.about_pool:
            self.remark("pool", sentence)

    def stop_if_cancelled(self) -> None:
        """Raises CancelledError if a person asked to stop; called between batches."""
        if self.cancelled():
            raise CancelledError

    def part(self, name: str) -> Context:
        """The context for a part of this step: its own random draws and checkpoints, the same data."""
        return replace(self, place=(*self.place, name), folder=self.folder / name)

    def after(self, before: int, total: int) -> Context:
        """The context for training that continues a curve of `total` epochs after the first `before` of them.

        The start is not reported again: the end of the previous epoch has reported it.
        """

        def report(progress: Progress) -> None:
            if progress.what != "training":
                self.report(progress)
            elif not before or progress.epoch or progress.done:
                self.report(replace(progress, epoch=progress.epoch + before, epochs=total))

        return replace(self, report=report)

    def for_control(self, control: str) -> Context:
        """The context for a control of this step: a part whose progress and warnings carry the control's name."""

        def report(progress: Progress) -> None:
            self.report(replace(progress, control=progress.control or control))

        def warn(code: str, message: str) -> None:
            self.warn(code, f"{control}: {message}")

        return replace(self.part(control), report=report, warn=warn)


def choose_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda` or `mps`; raises UserError if it is not available."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there.get(name, False):
        raise no_device(name, (kind for kind, ok in there.items() if ok))
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """The device's name for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"Apple GPU ({platform.machine()})" if device.type == "mps" else "CPU"
