"""Measurements stored next to the measured file, so that every number of its point can be derived again.

predictions.npz   predictions and confidences on the test split and the rank of the label among them, predictions on
                  validation, and the labels of both
samples.npz       the first test images and the file's logits for each one individually, for a bundle's self-check
timings.npz       milliseconds of every counted run, of the file and of those it was timed in alternation with, the
                  file in further runtimes among them
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.engine.data import Dataset, prepare_numpy
from core.engine.measure.latency import Timing
from core.engine.measure.runtime import open_session
from core.engine.measure.spread import ranks
from core.engine.model import Preprocessing
from core.files import write_atomic
from core.run_files.bundle import PREDICTIONS, SAMPLES

TIMINGS = "timings.npz"
MOST_SAMPLES, MOST_BYTES = 64, 4 * 2**20


def write_predictions(artifact: Path, data: Dataset, validation: Tensor, test: Tensor) -> None:
    """Writes the predictions of `artifact`: `validation` and `test` are its logits [N, C] for the whole splits."""
    sure, answers = test.softmax(1).max(1)
    arrays = {
        "test_answers": answers,
        "test_confidences": sure,
        "test_labels": data.test.labels,
        "test_ranks": ranks(test, data.test.labels),
        "validation_answers": validation.argmax(1),
        "validation_labels": data.validation.labels,
    }
    _write(artifact.with_name(PREDICTIONS), {name: tensor.numpy() for name, tensor in arrays.items()})


def write_samples(artifact: Path, preprocessing: Preprocessing, data: Dataset, threads: int) -> None:
    """Writes the first test images, at most 64 and 4 MiB of pixels, with the logits of `artifact` for each."""
    count = min(MOST_SAMPLES, max(1, MOST_BYTES // data.test.images[0].numel()))
    images = data.test.images[:count].numpy()
    session = open_session(artifact, threads)
    logits = [session.run(["logits"], {"image": prepare_numpy(image[None], preprocessing)})[0] for image in images]
    _write(artifact.with_name(SAMPLES), {"images": images, "logits": np.concatenate(logits)})


def write_timings(artifact: Path, timings: Mapping[str, Timing]) -> None:
    """Writes every counted run: by name the milliseconds, the total seconds [wall, CPU], the runs of each turn."""
    runs = {name: np.array(timing.milliseconds) for name, timing in timings.items()}
    seconds = {f"{name}_seconds": np.array([t.wall, t.processor]) for name, t in timings.items()}
    turns = {f"{name}_turns": np.array(timing.turns, dtype=np.int64) for name, timing in timings.items()}
    _write(artifact.with_name(TIMINGS), runs | seconds | turns)


def _write(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    write_atomic(path, file.getvalue())
