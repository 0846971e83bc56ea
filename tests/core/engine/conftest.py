"""A workbench on real digits, small enough that a test trains in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.engine.backbones import find, load_backbone
from core.engine.context import Context, Figures, Progress
from core.engine.data import Dataset, load_dataset
from core.engine.model import Model
from core.events import Work

Reported = tuple[Work, int, int, int, int, Figures, str]
MakeContext = Callable[..., Context]


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits", 8)


@pytest.fixture
def reports() -> list[Reported]:
    return []


@pytest.fixture
def make_context(digits: Dataset, reports: list[Reported], tmp_path: Path) -> MakeContext:
    """Makes a context; keyword arguments replace its fields."""
    torch.set_num_threads(1)

    def report(progress: Progress) -> None:
        batch, batches = progress.done, progress.total
        reported = (progress.what, progress.epoch, progress.epochs, batch, batches, progress.figures, progress.control)
        reports.append(reported)

    def make(**changes: object) -> Context:
        fields: dict[str, object] = {
            "data": digits,
            "labelled": digits.train,
            "pool": digits.train.images[:0],
            "device": torch.device("cpu"),
            "threads": 1,
            "precision": "float32",
            "image_size": 0,
            "weights": "none",
            "folder": tmp_path / "checkpoints",
            "cache": tmp_path / "cache",
            "place": (0, 0),
            "report": report,
            "warn": lambda code, message: None,
            "cancelled": lambda: False,
        }
        return Context(**{**fields, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_model(digits: Dataset) -> Callable[..., Model]:
    """A fresh small network for the digits, the same weights each time."""

    def make(width: int = 8, seed: int = 0, backbone: str = "resnet8") -> Model:
        torch.manual_seed(seed)
        net = load_backbone(backbone, 10, "none", 8, width=width, channels=1)
        return Model(net, backbone, digits.classes, find(backbone).preprocessing(8, 1), width)

    return make
