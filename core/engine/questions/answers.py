"""Answers of saved files in their runtime, as a question: computed once, then kept beside the run by content."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from onnxruntime.capi import onnxruntime_pybind11_state as runtime
from pydantic import TypeAdapter
from torch import Tensor

from core.engine.data import Dataset, Split
from core.engine.data.of_run import dataset_of
from core.engine.measure.calibration import expected_calibration_error, reliability
from core.engine.measure.label_errors import likely_wrong
from core.engine.measure.runtime import open_session, predict, prepared_as_bundled
from core.engine.measure.temperature import fit, nll
from core.engine.model import Preprocessing
from core.engine.questions.import_data import Telling
from core.errors import UserError
from core.files import make_folder
from core.jobs import Job
from core.questions.answers import Answers, AnswersRequest
from core.run_files.answers import BINS, About, Bin, Calibration, Scaling, kept_at
from core.run_files.artifacts import AGAIN, read_artifact
from core.run_files.bundle import PREDICTIONS
from core.run_files.sides import Side, side
from core.storage.sealed import read_kept, write_kept
from core.workspace import Workspace

UNUSABLE = (runtime.Fail, runtime.InvalidGraph, runtime.InvalidProtobuf, runtime.NotImplemented)
DOING = "running the model"
CARD = TypeAdapter(dict[str, Any])


def answer(request: AnswersRequest, job: Job) -> Answers:
    """The answers of each point, computed where they are not kept, or were damaged. Raises UserError, and
    CancelledError between two batches once the person asks to stop."""
    store, tell = Workspace(job.workspace), Telling(job)
    cached = sum(_kept(side(store, name), store, tell) for name in request.points)
    return Answers(request.points, cached)


def _kept(chosen: Side, store: Workspace, tell: Telling) -> bool:
    """Makes sure of a point's answers; whether they were there already."""
    path = kept_at(chosen)
    if read_kept(path) is not None:
        return True
    data = Asked(chosen, dataset_of(chosen.run, store, tell), tell).archive()
    make_folder(path.parent)
    write_kept(path, data)
    return False


def opened(chosen: Side) -> InferenceSession:
    """A point's file in its runtime; raises UserError where it is gone, or not as it was measured."""
    path = chosen.point.artifact or ""
    try:
        return open_session(read_artifact(chosen.run, path), chosen.run.recipe().threads)
    except UNUSABLE as error:
        raise UserError("damaged_artifact", "artifact", path, "a model that can be opened", AGAIN) from error


def read_card(chosen: Side) -> dict[str, Any]:
    """The labels and the preprocessing of a point's file; raises UserError where they are gone, or damaged."""
    return CARD.validate_json(read_artifact(chosen.run, chosen.card))


@dataclass(frozen=True)
class Asked:
    """A point's file, and the dataset it is asked about."""

    side: Side
    data: Dataset
    tell: Telling

    def archive(self) -> bytes:
        """What is kept: see core.run_files.answers."""
        self._refuse_other_classes()
        total = len(self.data.validation) + len(self.data.test)
        validation = self._logits(self.data.validation, 0, total)
        test = self._logits(self.data.test, len(self.data.validation), total)
        arrays: dict[str, NDArray[Any]] = {
            "validation_probabilities": validation.softmax(1).numpy(),
            "validation_labels": self.data.validation.labels.numpy(),
            "test_probabilities": test.softmax(1).numpy(),
            "test_labels": self.data.test.labels.numpy(),
            "suspects": _suspects(validation, test, self.data),
            "about": np.array(json.dumps(asdict(self._about(validation, test)))),
        }
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @cached_property
    def card(self) -> dict[str, Any]:
        return read_card(self.side)

    @cached_property
    def session(self) -> InferenceSession:
        return opened(self.side)

    def _refuse_other_classes(self) -> None:
        if tuple(self.card["classes"]) != self.data.classes:
            fix = "Run the recipe again: it then takes the set as it is now."
            raise UserError("other_images", "dataset", self.data.name, "the classes that the model was made for", fix)

    def _logits(self, split: Split, before: int, total: int) -> Tensor:
        """Logits [N, C] of a split, prepared as when the file was measured."""
        pixels = Preprocessing.from_json(self.card["preprocessing"])

        def step(done: int) -> None:
            self.tell(DOING, before + done, total)

        return predict(self.session, split.images, pixels, step=step, prepared=prepared_as_bundled)

    def _about(self, validation: Tensor, test: Tensor) -> About:
        known, told = validation.double().numpy(), test.double().numpy()
        labels = self.data.test.labels.numpy()
        fitted = fit(known, self.data.validation.labels.numpy())
        return About(
            classes=self.data.classes,
            content_hash=self.data.content_hash,
            answered_anew=self._answered_anew(test.argmax(1).numpy()),
            calibration=_calibration(told, labels, 1.0),
            scaled=_calibration(told, labels, fitted.temperature),
            scaling=Scaling(fitted.temperature, fitted.before, fitted.after, fitted.unbounded),
        )

    def _answered_anew(self, answers: NDArray[np.int64]) -> int:
        """How many test images the file answered otherwise when it was measured; raises UserError where those were
        other images."""
        path = str(PurePosixPath(self.side.point.artifact or "").with_name(PREDICTIONS))
        with np.load(io.BytesIO(read_artifact(self.side.run, path)), allow_pickle=False) as found:
            known, labels = found["test_answers"], found["test_labels"]
        if not np.array_equal(labels, self.data.test.labels.numpy()):
            fix = "Run the recipe again: it then takes the set as it is now."
            raise UserError("other_images", "dataset", self.data.name, "the images that the run was measured on", fix)
        return int((answers != known).sum())


def _suspects(validation: Tensor, test: Tensor, data: Dataset) -> NDArray[np.int64]:
    """Images of both splits with a likely wrong label [K, 3]: 0 for validation and 1 for test, the place in the split,
    the class it is taken for; the likeliest first."""
    shares = np.concatenate([logits.double().softmax(1).numpy() for logits in (validation, test)])
    labels = np.concatenate([split.labels.numpy() for split in (data.validation, data.test)])
    found, before = likely_wrong(shares, labels), len(data.validation)
    in_test = found.places >= before
    return np.stack([in_test.astype(np.int64), found.places - before * in_test, found.believed], axis=1)


def _calibration(logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float) -> Calibration:
    """Of logits [N, C] divided by the temperature, for labels [N]."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    bins = tuple(Bin(**asdict(one)) for one in reliability(shares, labels, BINS))
    return Calibration(expected_calibration_error(shares, labels, BINS), nll(scaled, labels), bins)
