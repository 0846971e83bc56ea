"""Answers requests to rank backbones: transferability scores, and the accuracy of a probe on the same features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from torch import Tensor

from core.engine.backbones import find, load_backbone
from core.engine.backbones.heads import head_layer
from core.engine.context import Context, Progress
from core.engine.data import few_labels, load_dataset
from core.engine.measure.evaluate import scored
from core.engine.pipeline.first_model import side_of, start
from core.engine.rank import h_score, knn_accuracy, leep, logme, nce, transrate
from core.engine.transfer.embedding import extractor
from core.engine.transfer.linear_probe import solve
from core.errors import UserError
from core.jobs import Job
from core.questions.rank_backbones import Agreement, Ranking, RankRequest, Row
from core.statistics.intervals import wilson

L2 = 0.1  # one penalty for all probes, so that only the features differ
NEIGHBOURS = 5
FEWEST = 3  # backbones for an agreement: two are in the right order half the time by chance
SCORES = ("logme", "h_score", "transrate", "knn_accuracy", "leep", "nce")


def answer(request: RankRequest, job: Job) -> Ranking:
    """One row per backbone, the best probe first, and the agreement of the scores with the probe. Raises UserError on a
    wrong name or number, CancelledError between two batches if the job is cancelled."""
    rows = rank(request, job)
    return Ranking(tuple(rows), tuple(agreement(rows)))


def rank(request: RankRequest, job: Job) -> list[Row]:
    """The rows of the answer, the best probe first."""
    backbones, limit, workspace = request.backbones, request.limit or 0, job.workspace
    if not backbones:
        raise UserError("no_backbones", "backbones", "", "one name or more", "Name them: --backbones A,B.")
    if limit < 0:
        raise UserError("out_of_range", "limit", limit, "0 for all images, or more", "Leave it out for 1,000 images.")
    known = list(dict.fromkeys(backbones))
    wanted = [(name, find(name).weights != "none") for name in known]
    wanted += [(name, False) for name, pretrained in wanted if request.controls and pretrained]
    rows = []
    for number, (name, pretrained) in enumerate(wanted):
        job.rest()
        label = f"{name}{'' if pretrained else ' with random weights'}, {number + 1} of {len(wanted)}"
        context = _context(request.dataset, name, limit, workspace, job, label, side_of(name, request.image_size or 0))
        rows.append(_row(context, name, pretrained))
        job.show(RankRequest.answer_to_document(Ranking(tuple(_best_first(rows)), ())))
    return _best_first(rows)


def _best_first(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -row.probe_accuracy)


def agreement(rows: Sequence[Row]) -> list[Agreement]:
    """The agreement of each score with the probe over the pretrained rows, and over all rows if there are others too;
    left out if fewer than three rows have the score, or if it or the probe is the same for all."""
    pretrained = [row for row in rows if row.pretrained]
    found = [_agreement(score, pretrained, controls=False) for score in SCORES]
    if len(pretrained) < len(rows):
        found += [_agreement(score, rows, controls=True) for score in SCORES]
    return [each for each in found if each is not None]


def _agreement(score: str, rows: Sequence[Row], *, controls: bool) -> Agreement | None:
    pairs = [(value, row.probe_accuracy) for row in rows if (value := getattr(row, score)) is not None]
    if controls and all(row.pretrained for row in rows if getattr(row, score) is not None):
        return None  # no control has this score: it would be reported twice
    scores, probes = {value for value, _ in pairs}, {probe for _, probe in pairs}
    if len(pairs) < FEWEST or len(scores) == 1 or len(probes) == 1:
        return None
    ours, theirs = zip(*pairs, strict=True)
    kendall, spearman = kendalltau(ours, theirs), spearmanr(ours, theirs).statistic
    tau, chance = float(kendall.statistic), float(kendall.pvalue)
    return Agreement(score, tau, float(spearman), len(pairs), controls, chance)


def _row(context: Context, name: str, pretrained: bool) -> Row:
    model = start(name, context if pretrained else replace(context, weights="none"))
    split, validation = context.labelled, context.data.validation
    extract = extractor(model)
    features, evaluation = extract.embed(split.images, context), extract.embed(validation.images, context)
    head = solve(features, split.labels, len(model.classes), L2)
    accuracy = scored(head(evaluation), validation.labels).accuracy
    x, y = features.double().numpy(), split.labels.numpy()
    knows = pretrained and find(name).classes > 1
    known = _source_probabilities(name, features, context) if knows else None
    return Row(
        name,
        pretrained,
        accuracy,
        logme(x, y),
        h_score(x, y),
        transrate(x, y),
        knn_accuracy(x, y, min(NEIGHBOURS, len(y) - 1)),
        None if known is None else leep(known, y),
        None if known is None else nce(known, y),
        len(y),
        *wilson(accuracy, len(validation.labels)),
    )


def _source_probabilities(name: str, features: Tensor, context: Context) -> NDArray[np.float64]:
    """The pretrained network's own probabilities [N, S]: its last layer applied to the same embedding."""
    original = head_layer(load_backbone(name, image_size=context.image_size or None, folder=context.cache / "weights"))
    with torch.inference_mode():
        known: NDArray[np.float64] = original(features).softmax(1).double().numpy()
    return known


def _context(dataset: str, name: str, limit: int, workspace: Path, job: Job, label: str, side: int) -> Context:
    data = load_dataset(dataset, find(name).side(side), folder=workspace / "datasets")
    labelled = data.train
    if 0 < limit < len(labelled):
        labelled, _ = few_labels(labelled, limit, len(data.classes), seed=0)

    def report(progress: Progress) -> None:
        job.tell(progress.done, progress.total, f"{label}: {progress.what}")

    def stop() -> bool:
        return job.cancel_requested()

    return Context(
        data=data,
        labelled=labelled,
        pool=labelled.images[:0],
        device=torch.device("cpu"),
        threads=torch.get_num_threads(),
        precision="float32",
        image_size=side,
        weights="default",
        folder=job.folder / name,
        cache=workspace / "cache",
        place=(0, name),
        report=report,
        warn=lambda code, message: None,
        cancelled=stop,
    )
