"""The workbench a method works at: the data, the device, the seed, and the one way to report progress."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from core.engine.data import Dataset, Split, Unlabelled
from core.errors import UserError
from core.events import Work


def _unheard(code: str, message: str) -> None:
    return None


class CancelledError(Exception):
    """The person asked the run to stop; raised between two batches."""


@dataclass(frozen=True)
class Figures:
    """Figures of a report; None was not computed. Shares of 1, seconds, images a second."""

    loss: float | None = None
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    samples_per_second: float | None = None
    eta_seconds: float | None = None


NOTHING = Figures()


@dataclass(frozen=True)
class Progress:
    """Where the work is: `done` of `total` (batches, images, bytes) in epoch `epoch` of `epochs`, both from 0 up to
    their totals; 0 where a total is not known. At an epoch's end `epoch` is one more and `done` is 0. `control` names
    the control that is made, if one is."""

    what: Work
    done: int = 0
    total: int = 1
    epoch: int = 0
    epochs: int = 1
    figures: Figures = NOTHING
    control: str = ""


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True)
class Context:
    """Everything a step may use beside the model that comes in.

    `labelled` is the part of the training split whose labels may be used, `pool` the images [M, C, H, W] uint8 whose
    labels may not. `source` is the float ONNX file of the incoming model, `artifact` the file of the step before, as
    far as they were saved. `target` is the recipe's second domain, to adapt to. `folder` holds this step's
    checkpoints, `cache` what other runs may reuse, keyed by content. `place` seeds every draw: (seed, step, purpose).
    `bfloat16` names the device's units for that number format, or `none`: by it and the network `auto` chooses.
    `note` takes what belongs on the receipt.
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
    note: Callable[[str, str], None] = _unheard

    def remark(self, code: str, message: str) -> None:
        """Warns of what training came to, and notes it for the receipt of what it made."""
        self.warn(code, message)
        self.note(code, message)

    def stop_if_cancelled(self) -> None:
        """Raises CancelledError when the person asked to stop; called between batches."""
        if self.cancelled():
            raise CancelledError

    def part(self, name: str) -> Context:
        """The context for a part of this step: other draws, other checkpoints, the same data."""
        return replace(self, place=(*self.place, name), folder=self.folder / name)

    def after(self, before: int, total: int) -> Context:
        """The context for training that continues a curve of `total` epochs after the first `before` of them.

        Where it starts is not told again: the end of the epoch before said so.
        """

        def report(progress: Progress) -> None:
            if progress.what != "training":
                self.report(progress)
            elif not before or progress.epoch or progress.done:
                self.report(replace(progress, epoch=progress.epoch + before, epochs=total))

        return replace(self, report=report)

    def beside(self, control: str) -> Context:
        """The context for a control of this step: a part whose progress is told apart."""

        def report(progress: Progress) -> None:
            self.report(replace(progress, control=progress.control or control))

        def warn(code: str, message: str) -> None:
            self.warn(code, f"{control}: {message}")

        return replace(self.part(control), report=report, warn=warn)


def choose_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda` or `mps`; raises UserError when it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there.get(name, False):
        found = ", ".join(kind for kind, ok in there.items() if ok)
        raise UserError("no_device", "device", name, f"auto, {found}", "Set device to auto, or install its driver.")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """The device as a person knows it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"Apple GPU ({platform.machine()})" if device.type == "mps" else "CPU"
