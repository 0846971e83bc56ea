"""Measures the validation accuracy of a network with a single layer pruned or quantized, layer by layer.

Li et al. 2017, arXiv:1608.08710. Finished layers are cached by content, so that a repeated or cancelled request
continues from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from pydantic import TypeAdapter
from torch import nn

from core.engine.backbones import find
from core.engine.context import CancelledError
from core.engine.data import Dataset, Split, load_dataset
from core.engine.data.dataset import draw
from core.engine.measure.evaluate import evaluate
from core.engine.model import Model
from core.engine.model_file import MANIFEST, WEIGHTS, load_model
from core.engine.pipeline.code_version import whole_engine
from core.engine.questions.one_layer import Layer, prunable, weighted
from core.engine.threads import one_thread
from core.errors import UserError
from core.files import make_folder
from core.jobs import Job
from core.questions.sensitivity import VALUES, Row, Sensitivity, SensitivityRequest
from core.storage.sealed import read_kept, write_kept
from core.workspace import Workspace

BATCH = 128
Report = Callable[[int, int, tuple[Row, ...]], None]  # (layers done, layers in all, all rows so far)
ROWS = TypeAdapter(list[Row])


def answer(request: SensitivityRequest, job: Job) -> Sensitivity:
    """One row per layer and value. Raises UserError, and CancelledError between two networks if the job is
    cancelled."""
    store, what, step = Workspace(job.workspace), request.what, request.step
    run = store.run(request.run)
    recipe = run.recipe()
    made = run.checkpoints / f"seed-{recipe.seed}" / f"step-{step}" / "made"
    if not (made / WEIGHTS).exists():
        raise UserError("missing_artifact", "step", step, "a step whose network still exists", "Run the recipe again.")
    model = load_model(made)
    size = find(recipe.backbone).side(recipe.image_size)
    version = run.state().environment.get("dataset_version", "")
    data = load_dataset(recipe.dataset, size, folder=store.datasets, version=version)
    split = subset(data.validation, request.limit, len(data.classes))
    kept = kept_for(made, data, split, what, store)

    def report(done: int, total: int, found: tuple[Row, ...]) -> None:
        job.tell(done, total, what)
        job.show(request.answer_to_document(Sensitivity(found, len(split))))

    def cancelled() -> bool:
        job.rest()
        return job.cancel_requested()

    found, cached = measure(model, what, VALUES[what], split, kept, report, cancelled)
    return Sensitivity(found, len(split), cached)


def kept_for(made: Path, data: Dataset, split: Split, what: str, store: Workspace) -> Kept:
    """What is kept of the network at `made`, on the validation images `split` of `data`."""
    asked = (what, json.dumps(VALUES[what]), str(len(split)))
    parts = (digest(made), data.content_hash, *asked, whole_engine(), torch.__version__)
    return Kept(store.cache / "sensitivity" / f"{sha256('/'.join(parts).encode()).hexdigest()[:32]}.kept")


@dataclass(frozen=True)
class Kept:
    """The cache file with the rows of finished layers."""

    path: Path

    def read(self) -> list[Row]:
        """The cached rows; empty if there are none."""
        found = read_kept(self.path)
        return [] if found is None else ROWS.validate_json(found)

    def write(self, found: list[Row]) -> None:
        """Stores the rows."""
        make_folder(self.path.parent)
        write_kept(self.path, ROWS.dump_json(found))


def measure(
    model: Model,
    what: str,
    values: tuple[float, ...],
    split: Split,
    kept: Kept,
    report: Report,
    cancelled: Callable[[], bool],
) -> tuple[tuple[Row, ...], bool]:
    """All rows, and whether all came from the cache; the first of `values` leaves a layer unchanged."""
    model = model.with_net(model.net.cpu().eval())
    found = kept.read()
    layers = prunable(model) if what == "ratio" else weighted(model)
    done = {row.layer for row in found}
    cached = all(layer.name in done for layer in layers)

    def accuracy(net: nn.Module) -> float:
        if cancelled():
            raise CancelledError
        return right(model.with_net(net), split)

    with one_thread():
        whole = None if cached else accuracy(model.net)
        for layer in layers:
            if layer.name not in done:
                assert whole is not None
                found += _of_layer(layer, values, whole, accuracy)
                kept.write(found)
            report(len({row.layer for row in found}), len(layers), tuple(found))
    return tuple(found), cached


def _of_layer(
    layer: Layer, values: tuple[float, ...], whole: float, accuracy: Callable[[nn.Module], float]
) -> list[Row]:
    rows = [Row(layer=layer.name, value=values[0], validation_accuracy=whole)]
    for value, net in zip(values[1:], layer.variants(values[1:]), strict=True):
        share = rows[-1].validation_accuracy if net is None else accuracy(net)
        rows.append(Row(layer=layer.name, value=value, validation_accuracy=share))
    return rows


def right(model: Model, split: Split) -> float:
    """The accuracy in torch, from 0 to 1."""
    return evaluate(model.net, split, model.preprocessing, at_once=BATCH).accuracy


def subset(split: Split, limit: int, classes: int) -> Split:
    """At most `limit` images, stratified by class; all for 0. Raises UserError on fewer than one per class."""
    if not 0 < limit < len(split):
        return split
    if limit < classes:
        raise UserError(
            "out_of_range", "limit", limit, f"0 for all, or at least {classes}", "Each class needs an image."
        )
    chosen, _ = draw(split.labels.numpy(), limit, seed=0)
    return split.subset(chosen)


def digest(made: Path) -> str:
    """A hash of a saved network."""
    return sha256((made / MANIFEST).read_bytes() + (made / WEIGHTS).read_bytes()).hexdigest()
