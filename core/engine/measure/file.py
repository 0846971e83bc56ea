"""Measures a saved file: accuracy in its runtime on validation and test, and size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from onnxruntime import InferenceSession
from torch import Tensor

from core.engine.data import Dataset, Split
from core.engine.data.augment import prepare
from core.engine.measure.calibration import expected_calibration_error, wilson_interval
from core.engine.measure.evaluate import Evaluation, scored
from core.engine.measure.runtime import open_session, predict, prepared_as_bundled
from core.engine.measure.session import EXACT, as_others_open_it, overflows
from core.engine.measure.size import compressed_bytes
from core.engine.model import Preprocessing
from core.run_files.runtime_needs import adds_integers


@dataclass(frozen=True)
class Quality:
    """The quality of a file: accuracies, the 95 % Wilson interval of the test accuracy, and calibration error.

    `logits` [N, C] are those of the validation images, for comparing files with one another, `test_logits` the test's;
    `recall` is the recall of each class on the test images, None for a class without images.
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
    """The accuracy and its 95 % Wilson interval."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Size:
    """Bytes of the file, and of the file compressed by zlib."""

    bytes: int
    compressed: int


def quality(
    path: Path, preprocessing: Preprocessing, data: Dataset, cores: int, step: Callable[[int, int], None]
) -> Quality:
    """Runs the file on both splits, on `cores` at a time; `step` is called with (images done, total images)."""
    session = open_session(path)
    total = len(data.validation) + len(data.test)
    validation = _evaluated(session, data.validation, preprocessing, cores, lambda n: step(n, total))
    done = len(data.validation)
    test = _evaluated(session, data.test, preprocessing, cores, lambda n: step(done + n, total))
    low, high = wilson_interval(test.right, len(data.test))
    error = expected_calibration_error(test.logits.softmax(1).double().numpy(), data.test.labels.numpy())
    return Quality(
        validation=validation.accuracy,
        test=test.accuracy,
        low=low,
        high=high,
        calibration_error=error,
        images=len(data.test),
        logits=validation.logits,
        test_logits=test.logits,
        recall=_recall(test.logits, data.test, len(data.classes)),
    )


def share(
    path: Path, preprocessing: Preprocessing, split: Split, cores: int, step: Callable[[int, int], None]
) -> Share:
    """Runs the file on one more split."""
    session = open_session(path)
    found = _evaluated(session, split, preprocessing, cores, lambda n: step(n, len(split)))
    return Share(found.accuracy, *wilson_interval(found.right, len(split)))


def cut_off(path: Path, preprocessing: Preprocessing, test: Split, found: Quality, cores: int) -> list[str]:
    """For the receipt of an int8 file: how it answers the test images in a program that lets this processor cut sums
    off, beside `found`; nothing where the processor does not, or where no answer differs."""
    if not adds_integers(path.read_bytes()) or not overflows():
        return []
    there = _evaluated(as_others_open_it(path), test, preprocessing, cores, lambda done: None)
    differ = int((there.logits.argmax(1) != found.test_logits.argmax(1)).sum())
    if not differ:
        return []
    return [
        f"On this processor onnxruntime cuts off sums in int8 layers unless its session option {EXACT} is 1, as it is "
        f"for every figure here. Without it, answers differ on {differ:,} of {len(test):,} test images and the "
        f"accuracy is {100 * there.accuracy:.1f} % instead of {100 * found.test:.1f} %."
    ]


def size(path: Path) -> Size:
    """The file's bytes on disk and compressed."""
    return Size(path.stat().st_size, compressed_bytes(path))


def parity(net: torch.nn.Module, logits: Tensor, images: Tensor, preprocessing: Preprocessing) -> float:
    """The largest difference between the file's logits [N, C] and the network's in torch on the same images."""
    device = next(net.parameters()).device
    with torch.inference_mode():
        expected = net(prepare(images.to(device), preprocessing)).float().cpu()
    return float((expected - logits[: len(images)]).abs().max())


def _evaluated(
    session: InferenceSession, split: Split, preprocessing: Preprocessing, cores: int, step: Callable[[int], None]
) -> Evaluation:
    """Evaluates the file on a split, with images prepared as by a bundle's predict.py."""
    logits = predict(session, split.images, preprocessing, step=step, prepared=prepared_as_bundled, cores=cores)
    return scored(logits, split.labels)


def _recall(logits: Tensor, split: Split, classes: int) -> tuple[float | None, ...]:
    right = logits.argmax(1) == split.labels
    shares = [right[split.labels == label].float() for label in range(classes)]
    return tuple(float(share.mean()) if len(share) else None for share in shares)
