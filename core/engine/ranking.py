"""Which backbone suits a data set: transferability scores beside the accuracy of a probe on the same features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.engine.backbones import find, load_backbone
from core.engine.backbones.heads import head_layer
from core.engine.bench import NOTHING, Bench, Figures
from core.engine.data import few_labels, load_dataset
from core.engine.rank import h_score, knn_accuracy, leep, logme, nce, transrate
from core.engine.starting import start
from core.engine.transfer.embedding import extractor
from core.engine.transfer.linear_probe import solve
from core.errors import UserError
from core.events import Work
from core.jobs import Job

L2 = 0.1  # one penalty for all, so that only the features differ


@dataclass(frozen=True)
class Row:
    """One backbone's scores on the training images used, and what a probe on them gets right on validation.

    The higher a score the better; scores compare backbones on one data set, never across data sets. `leep` and `nce`
    need a backbone with classes of its own; without them they are absent (None).
    """

    backbone: str
    probe_accuracy: float
    logme: float
    h_score: float
    transrate: float
    knn_accuracy: float
    leep: float | None
    nce: float | None
    images: int


def rank(dataset: str, backbones: list[str], limit: int, workspace: Path, job: Job) -> list[Row]:
    """A row a backbone, the best probe first, on at most `limit` labelled training images (0 takes all)."""
    if not backbones:
        raise UserError("no_backbones", "backbones", "", "one name or more", "Name them: --backbones A,B.")
    rows = [_row(dataset, name, limit, workspace, job, number, len(backbones)) for number, name in enumerate(backbones)]
    return sorted(rows, key=lambda row: -row.probe_accuracy)


def _row(dataset: str, name: str, limit: int, workspace: Path, job: Job, number: int, count: int) -> Row:
    bench = _bench(dataset, name, limit, workspace, job, f"{name}, {number + 1} of {count}")
    model = start(name, bench)
    split, validation = bench.labelled, bench.data.validation
    extract = extractor(model)
    features, judged = extract.embed(split.images, bench), extract.embed(validation.images, bench)
    head = solve(features, split.labels, len(model.classes), L2)
    accuracy = float((head(judged).argmax(1) == validation.labels).float().mean())
    x, y = features.double().numpy(), split.labels.numpy()
    known = _source_probabilities(name, features, bench)
    return Row(
        name, accuracy, logme(x, y), h_score(x, y), transrate(x, y), knn_accuracy(x, y),
        None if known is None else leep(known, y), None if known is None else nce(known, y), len(y),
    )  # fmt: skip


def _source_probabilities(name: str, features: Tensor, bench: Bench) -> NDArray[np.float64] | None:
    """The pretrained network's own answers, [N, S]: its last layer on the same embedding; None without one."""
    info = find(name)
    if info.weights == "none":
        return None
    original = head_layer(load_backbone(name, image_size=bench.image_size or None, folder=bench.cache / "weights"))
    with torch.inference_mode():
        known: NDArray[np.float64] = original(features).softmax(1).double().numpy()
    return known


def _bench(dataset: str, name: str, limit: int, workspace: Path, job: Job, label: str) -> Bench:
    data = load_dataset(dataset, find(name).image_size, folder=workspace / "datasets")
    labelled = data.train
    if 0 < limit < len(labelled):
        labelled, _ = few_labels(labelled, limit, len(data.classes), seed=0)

    def report(
        what: Work, epoch: int, epochs: int, batch: int, batches: int, figures: Figures = NOTHING, control: str = ""
    ) -> None:
        job.tell(batch, batches, f"{label}: {what}")

    def stop() -> bool:
        return job.cancel_requested()

    return Bench(
        data=data, labelled=labelled, pool=labelled.images[:0], device=torch.device("cpu"),
        threads=torch.get_num_threads(), precision="float32", image_size=0, weights="default",
        folder=job.folder / name, cache=workspace / "cache", place=(0, name), report=report,
        warn=lambda code, message: None, cancelled=stop,
    )  # fmt: skip
