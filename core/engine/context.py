"""The workbench a method works at: the data, the device, the seed, and the one way to report progress."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

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
    """What a report can say beside where the work is; None was not computed. Shares of 1, seconds, images a second."""

    loss: float | None = None
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    samples_per_second: float | None = None
    eta_seconds: float | None = None


NOTHING = Figures()


class Report(Protocol):
    """Says where the work is: epochs and batches count from 0 up to their totals; at an epoch's end batch is 0."""

    def __call__(
        self,
        what: Work,
        epoch: int,
        epochs: int,
        batch: int,
        batches: int,
        figures: Figures = NOTHING,
        control: str = "",
    ) -> None: ...


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

        def report(
            what: Work,
            epoch: int,
            epochs: int,
            batch: int,
            batches: int,
            figures: Figures = NOTHING,
            control: str = "",
        ) -> None:
            if what == "training" and before and not epoch and not batch:
                return
            shift, of = (before, total) if what == "training" else (0, epochs)
            self.report(what, epoch + shift, of, batch, batches, figures, control)

        return replace(self, report=report)

    def beside(self, control: str) -> Context:
        """The context for a control of this step: a part whose progress is told apart."""
        name = control

        def report(
            what: Work,
            epoch: int,
            epochs: int,
            batch: int,
            batches: int,
            figures: Figures = NOTHING,
            control: str = "",
        ) -> None:
            self.report(what, epoch, epochs, batch, batches, figures, control or name)

        def warn(code: str, message: str) -> None:
            self.warn(code, f"{name}: {message}")

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
