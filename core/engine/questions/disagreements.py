"""Saved models answer every test image, and those on which they disagree are picked out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.engine.backbones import find
from core.engine.context import CancelledError
from core.engine.data import Dataset, Split, load_dataset
from core.engine.measure.runtime import predict, prepared_as_bundled
from core.engine.measure.saved_model import SavedModel, softmax
from core.engine.questions.classify import as_png, open_all
from core.errors import UserError
from core.jobs import Job
from core.point_id import PointId
from core.questions.disagreements import MOST_SHOWN, Disagreements, DisagreementsRequest, Disputed, Guess
from core.runs import Run
from core.workspace import Workspace

Shares = NDArray[np.float64]  # probabilities [models, N, classes]


def answer(request: DisagreementsRequest, job: Job) -> Disagreements:
    """Raises UserError where the images are not here any more or fewer than two models can be compared, and
    CancelledError between two batches."""
    store = Workspace(job.workspace)
    networks = open_all(store, request.points)
    held = {name: found for name, found in zip(request.points, networks, strict=True) if isinstance(found, SavedModel)}
    first = next(iter(held.values()), None)
    alike = {name: one for name, one in held.items() if first is not None and one.classes == first.classes}
    if first is None or len(alike) < 2:
        allowed = "two models or more with the same classes, whose files are as they were measured"
        raise UserError("too_few_models", "points", len(alike), allowed, "Choose further models of the same run.")
    test = dataset_of(first.run, store).test
    shares = np.stack([_shares(one, test, job, n, len(alike)) for n, one in enumerate(alike.values())])
    return picked(shares, test, first.classes, tuple(alike))


def picked(shares: Shares, test: Split, classes: tuple[str, ...], points: tuple[PointId, ...]) -> Disagreements:
    """The images on which not all models [models, N, classes] answer the same; where the least sure of them is surest
    comes first."""
    answers, sure = shares.argmax(2), shares.max(2)
    others = np.flatnonzero((answers != answers[0]).any(0))
    order = others[np.argsort(-sure[:, others].min(0), kind="stable")]
    shown = tuple(_disputed(answers, sure, test, int(place)) for place in order[:MOST_SHOWN])
    return Disagreements(classes, len(test), len(others), shown, points)


def _disputed(answers: NDArray[np.int64], sure: Shares, test: Split, place: int) -> Disputed:
    guesses = zip(answers[:, place], sure[:, place], strict=True)
    image = test.images[place].numpy()
    picture = as_png(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    return Disputed(place, int(test.labels[place]), tuple(Guess(int(a), float(s)) for a, s in guesses), picture)


def _shares(network: SavedModel, test: Split, job: Job, number: int, count: int) -> Shares:
    """Probabilities [N, classes], of images prepared as they were for the measurement."""

    def step(done: int) -> None:
        if job.cancel_requested():
            raise CancelledError
        job.tell(number * len(test) + done, count * len(test), "comparing")
        job.rest()

    prepared = prepared_as_bundled
    logits = predict(network.session, test.images, network.preprocessing, step=step, prepared=prepared)
    return softmax(logits.numpy())


def dataset_of(run: Run, store: Workspace) -> Dataset:
    """The images of a run in the version it began with; raises UserError where they are not here any more."""
    recipe = run.recipe()
    size = find(recipe.backbone).side(recipe.image_size)
    version = run.state().environment.get("dataset_version", "")
    return load_dataset(recipe.dataset, size, folder=store.datasets, version=version)
