"""Which backbone suits a dataset: transferability scores beside the accuracy of a probe on the same features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from torch import Tensor

from core.engine.backbones import find, load_backbone
from core.engine.backbones.heads import head_layer
from core.engine.context import NOTHING, Context, Figures
from core.engine.data import few_labels, load_dataset
from core.engine.pipeline.first_model import side_of, start
from core.engine.rank import h_score, knn_accuracy, leep, logme, nce, transrate
from core.engine.transfer.embedding import extractor
from core.engine.transfer.linear_probe import solve
from core.errors import UserError
from core.events import Work
from core.jobs import Job

L2 = 0.1  # one penalty for all, so that only the features differ
NEIGHBOURS = 5
FEWEST = 3  # backbones that can agree with the probe: two are in the right order half the time by chance
SCORES = ("logme", "h_score", "transrate", "knn_accuracy", "leep", "nce")


@dataclass(frozen=True)
class Row:
    """One backbone's scores on the training images used, and what a probe on them gets right on validation.

    The higher a score the better; scores compare backbones on one dataset, never across datasets. `pretrained` is
    False for fresh random weights, a control or all there is. `leep` and `nce` need a backbone with classes of its own;
    without them they are absent (None).
    """

    backbone: str
    pretrained: bool
    probe_accuracy: float
    logme: float
    h_score: float
    transrate: float
    knn_accuracy: float
    leep: float | None
    nce: float | None
    images: int


@dataclass(frozen=True)
class Agreement:
    """How well a score orders backbones as the probe does: Kendall's τ-b and Spearman's ρ, from −1 to 1, over
    `backbones` rows; `controls` says whether those with random weights are among them."""

    score: str
    kendall: float
    spearman: float
    backbones: int
    controls: bool


def rank(
    dataset: str,
    backbones: list[str],
    limit: int,
    workspace: Path,
    job: Job,
    *,
    image_size: int = 0,
    controls: bool = False,
) -> list[Row]:
    """A row a backbone, the best probe first, on at most `limit` labelled training images (0 takes all).

    `image_size` is the side in pixels for all but small networks, 0 each one's own. With `controls` each pretrained
    backbone stands there a second time, with fresh random weights.
    """
    if not backbones:
        raise UserError("no_backbones", "backbones", "", "one name or more", "Name them: --backbones A,B.")
    if limit < 0:
        raise UserError("out_of_range", "limit", limit, "0 for all images, or more", "Leave it out for 1,000 images.")
    known = list(dict.fromkeys(backbones))
    wanted = [(name, find(name).weights != "none") for name in known]
    wanted += [(name, False) for name, pretrained in wanted if controls and pretrained]
    rows = []
    for number, (name, pretrained) in enumerate(wanted):
        job.rest()
        label = f"{name}{'' if pretrained else ' with random weights'}, {number + 1} of {len(wanted)}"
        context = _context(dataset, name, limit, workspace, job, label, side_of(name, image_size))
        rows.append(_row(context, name, pretrained))
    return sorted(rows, key=lambda row: -row.probe_accuracy)


def agreement(rows: Sequence[Row]) -> list[Agreement]:
    """Of each score over the pretrained rows, and over all of them where there are others too; nothing where fewer
    than three rows have the score, or where it or the probe is the same for all."""
    pretrained = [row for row in rows if row.pretrained]
    found = [_agreement(score, pretrained, controls=False) for score in SCORES]
    if len(pretrained) < len(rows):
        found += [_agreement(score, rows, controls=True) for score in SCORES]
    return [each for each in found if each is not None]


def _agreement(score: str, rows: Sequence[Row], *, controls: bool) -> Agreement | None:
    pairs = [(value, row.probe_accuracy) for row in rows if (value := getattr(row, score)) is not None]
    if controls and all(row.pretrained for row in rows if getattr(row, score) is not None):
        return None  # no control has this score: it would be told twice
    scores, probes = {value for value, _ in pairs}, {probe for _, probe in pairs}
    if len(pairs) < FEWEST or len(scores) == 1 or len(probes) == 1:
        return None
    ours, theirs = zip(*pairs, strict=True)
    kendall, spearman = kendalltau(ours, theirs).statistic, spearmanr(ours, theirs).statistic
    return Agreement(score, float(kendall), float(spearman), len(pairs), controls)


def _row(context: Context, name: str, pretrained: bool) -> Row:
    model = start(name, context if pretrained else replace(context, weights="none"))
    split, validation = context.labelled, context.data.validation
    extract = extractor(model)
    features, evaluation = extract.embed(split.images, context), extract.embed(validation.images, context)
    head = solve(features, split.labels, len(model.classes), L2)
    accuracy = float((head(evaluation).argmax(1) == validation.labels).float().mean())
    x, y = features.double().numpy(), split.labels.numpy()
    known = _source_probabilities(name, features, context) if pretrained else None
    return Row(
        name, pretrained, accuracy, logme(x, y), h_score(x, y), transrate(x, y),
        knn_accuracy(x, y, min(NEIGHBOURS, len(y) - 1)),
        None if known is None else leep(known, y), None if known is None else nce(known, y), len(y),
    )  # fmt: skip


def _source_probabilities(name: str, features: Tensor, context: Context) -> NDArray[np.float64]:
    """The pretrained network's own answers, [N, S]: its last layer on the same embedding."""
    original = head_layer(load_backbone(name, image_size=context.image_size or None, folder=context.cache / "weights"))
    with torch.inference_mode():
        known: NDArray[np.float64] = original(features).softmax(1).double().numpy()
    return known


def _context(dataset: str, name: str, limit: int, workspace: Path, job: Job, label: str, side: int) -> Context:
    data = load_dataset(dataset, find(name).side(side), folder=workspace / "datasets")
    labelled = data.train
    if 0 < limit < len(labelled):
        labelled, _ = few_labels(labelled, limit, len(data.classes), seed=0)

    def report(
        what: Work, epoch: int, epochs: int, batch: int, batches: int, figures: Figures = NOTHING, control: str = ""
    ) -> None:
        job.tell(batch, batches, f"{label}: {what}")

    def stop() -> bool:
        return job.cancel_requested()

    return Context(
        data=data, labelled=labelled, pool=labelled.images[:0], device=torch.device("cpu"),
        threads=torch.get_num_threads(), precision="float32", image_size=side, weights="default",
        folder=job.folder / name, cache=workspace / "cache", place=(0, name), report=report,
        warn=lambda code, message: None, cancelled=stop,
    )  # fmt: skip
