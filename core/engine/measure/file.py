"""Measuring a saved file: its accuracy in its runtime on validation and test, its size and its latency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.engine.data import Dataset, Split
from core.engine.data.augment import prepare
from core.engine.measure.calibration import expected_calibration_error, wilson_interval
from core.engine.measure.runtime import answers, open_session
from core.engine.measure.size import compressed_bytes
from core.engine.model import Preprocessing


@dataclass(frozen=True)
class Quality:
    """What a file answers: shares of right answers, the 95 % Wilson interval of the test's, and calibration error.

    `logits` [N, C] are those of the validation images, to compare files with one another, `test_logits` the test's;
    `recall` the share of right answers among the test images of each class, None where there is none.
    """

    validation: float
    test: float
    low: float
    high: float
    calibration_error: float
    images: int
    logits: Tensor
    test_logits: Tensor
    recall: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Share:
    """The share of right answers and its 95 % Wilson interval."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Size:
    """Bytes of the file, and of the file compressed by zlib."""

    bytes: int
    compressed: int


def quality(
    path: Path, preprocessing: Preprocessing, data: Dataset, threads: int, step: Callable[[int, int], None]
) -> Quality:
    """Runs the file over both splits; `step` is called with (images done, images in all)."""
    session = open_session(path, threads)
    total = len(data.validation) + len(data.test)
    validation = answers(session, data.validation.images, preprocessing, lambda n: step(n, total))
    done = len(data.validation)
    test = answers(session, data.test.images, preprocessing, lambda n: step(done + n, total))
    right = _right(test, data.test)
    low, high = wilson_interval(right, len(data.test))
    error = expected_calibration_error(test.softmax(1).double().numpy(), data.test.labels.numpy())
    return Quality(
        validation=_right(validation, data.validation) / len(data.validation),
        test=right / len(data.test), low=low, high=high, calibration_error=error,
        images=len(data.test), logits=validation, test_logits=test,
        recall=_recall(test, data.test, len(data.classes)),
    )  # fmt: skip


def share(
    path: Path, preprocessing: Preprocessing, split: Split, threads: int, step: Callable[[int, int], None]
) -> Share:
    """Runs the file over one more split."""
    session = open_session(path, threads)
    told = answers(session, split.images, preprocessing, lambda n: step(n, len(split)))
    right = _right(told, split)
    return Share(right / len(split), *wilson_interval(right, len(split)))


def size(path: Path) -> Size:
    """The file's bytes on disk and compressed."""
    return Size(path.stat().st_size, compressed_bytes(path))


def parity(net: torch.nn.Module, logits: Tensor, images: Tensor, preprocessing: Preprocessing) -> float:
    """The largest difference between the file's logits [N, C] and the network's in torch on the same images."""
    device = next(net.parameters()).device
    with torch.inference_mode():
        expected = net(prepare(images.to(device), preprocessing)).float().cpu()
    return float((expected - logits[: len(images)]).abs().max())


def _recall(logits: Tensor, split: Split, classes: int) -> tuple[float | None, ...]:
    right = logits.argmax(1) == split.labels
    shares = [right[split.labels == label].float() for label in range(classes)]
    return tuple(float(share.mean()) if len(share) else None for share in shares)


def _right(logits: Tensor, split: Split) -> int:
    return int((logits.argmax(1) == split.labels).sum())
