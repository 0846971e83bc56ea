"""Evaluates graphs on validation images, for methods that compare alternatives (bits, layers left in float)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
import onnxruntime
import torch

from core.engine.context import Context, Progress
from core.engine.data.dataset import Split, draw
from core.engine.measure.evaluate import evaluate
from core.engine.measure.runtime import open_session
from core.engine.model import Model, Preprocessing
from core.errors import UserError
from core.files import make_folder
from core.storage.sealed import read_kept, write_kept


@dataclass(frozen=True)
class GraphEvaluation:
    """Mean cross-entropy and accuracy on `images` validation images."""

    loss: float
    accuracy: float
    images: int


class Evaluator(Protocol):
    """Runs a graph in onnxruntime on `images` validation images, balanced over the classes; 0 for all."""

    def __call__(self, graph: onnx.ModelProto, images: int = 0) -> GraphEvaluation: ...


def no_evaluator(graph: onnx.ModelProto, images: int = 0) -> GraphEvaluation:
    """For converting a file without data; raises UserError."""
    allowed = "validation images to choose by"
    raise UserError("no_validation", "validation", "a file without data", allowed, "Use it as a step of a recipe.")


@dataclass(frozen=True)
class CachedEvaluator:
    """The evaluator of a run. Results are cached in `folder`, keyed by everything they depend on, so that a layer's
    sensitivity is measured once for all recipes and budgets; `step` is called with (images done, total images)."""

    split: Split
    preprocessing: Preprocessing
    folder: Path
    data: str
    step: Callable[[int, int], None]

    def __call__(self, graph: onnx.ModelProto, images: int = 0) -> GraphEvaluation:
        split = self._drawn(images)
        data = graph.SerializeToString(deterministic=True)
        facts = [self.data, len(split), self.preprocessing.to_json(), onnxruntime.__version__, sha256(data).hexdigest()]
        path = self.folder / f"{sha256(json.dumps(facts).encode()).hexdigest()[:32]}.kept"
        kept = _read(path)
        if kept is not None:
            return kept
        found = self._evaluate(data, split)
        make_folder(self.folder)
        write_kept(path, json.dumps([found.loss, found.accuracy, found.images]).encode())
        return found

    def _drawn(self, images: int) -> Split:
        classes = len(torch.unique(self.split.labels))
        if not images or max(images, classes) >= len(self.split):
            return self.split
        chosen, _ = draw(self.split.labels.numpy().astype(np.int64), max(images, classes), 0)
        return self.split.subset(chosen)

    def _evaluate(self, data: bytes, split: Split) -> GraphEvaluation:
        # one thread: the same results on every machine
        session, count = open_session(data, 1), len(split)
        found = evaluate(session, split, self.preprocessing, step=lambda done: self.step(done, count))
        return GraphEvaluation(found.loss if isfinite(found.loss) else 1e9, found.accuracy, len(split))


def cached_evaluator(model: Model, context: Context) -> CachedEvaluator:
    """The evaluator of a step, for graphs of `model`."""

    def step(done: int, total: int) -> None:
        context.stop_if_cancelled()
        context.report(Progress("measuring", done, total))

    data = context.data
    return CachedEvaluator(data.validation, model.preprocessing, context.cache / "evaluated", data.content_hash, step)


def _read(path: Path) -> GraphEvaluation | None:
    kept = read_kept(path)
    if kept is None:
        return None
    loss, accuracy, images = json.loads(kept)
    return GraphEvaluation(float(loss), float(accuracy), int(images))
