"""Saved models answer every test image, and those on which they disagree are picked out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.engine.data import Split
from core.engine.data.of_run import dataset_of
from core.engine.measure.runtime import predict, prepared_as_bundled
from core.engine.measure.saved_model import SavedModel, softmax
from core.engine.png import as_png, upright
from core.engine.questions.classify import open_all
from core.engine.questions.import_data import Telling
from core.errors import UserError
from core.jobs import Job
from core.questions.disagreements import MOST_SHOWN, Disagreements, DisagreementsRequest, Disputed, Guess
from core.workspace import Workspace

Shares = NDArray[np.float64]  # probabilities [models, N, classes]


def answer(request: DisagreementsRequest, job: Job) -> Disagreements:
    """Raises UserError where the images are not here any more or fewer than two models can be compared, and
    CancelledError between two batches."""
    store, tell = Workspace(job.workspace), Telling(job)
    networks = open_all(store, request.points)
    held = {name: found for name, found in zip(request.points, networks, strict=True) if isinstance(found, SavedModel)}
    first = next(iter(held.values()), None)
    alike = {name: one for name, one in held.items() if first is not None and one.classes == first.classes}
    if first is None or len(alike) < 2:
        allowed = "two models or more with the same classes, whose files are as they were measured"
        raise UserError("too_few_models", "points", len(alike), allowed, "Choose further models of the same run.")
    test = dataset_of(first.side.run, store, tell).test
    shares = np.stack([_shares(one, test, tell, n, len(alike)) for n, one in enumerate(alike.values())])
    return picked(shares, test, first.classes, tuple(alike))


def picked(shares: Shares, test: Split, classes: tuple[str, ...], points: tuple[str, ...]) -> Disagreements:
    """The images on which not all models [models, N, classes] answer the same; where the least sure of them is surest
    comes first."""
    answers, sure = shares.argmax(2), shares.max(2)
    others = np.flatnonzero((answers != answers[0]).any(0))
    order = others[np.argsort(-sure[:, others].min(0), kind="stable")]
    shown = tuple(_disputed(answers, sure, test, int(place)) for place in order[:MOST_SHOWN])
    return Disagreements(classes, len(test), len(others), shown, points)


def _disputed(answers: NDArray[np.int64], sure: Shares, test: Split, place: int) -> Disputed:
    guesses = zip(answers[:, place], sure[:, place], strict=True)
    picture = as_png(upright(test.images[place].numpy()))
    return Disputed(place, int(test.labels[place]), tuple(Guess(int(a), float(s)) for a, s in guesses), picture)


def _shares(network: SavedModel, test: Split, tell: Telling, number: int, count: int) -> Shares:
    """Probabilities [N, classes], of images prepared as they were for the measurement."""

    def step(done: int) -> None:
        tell("comparing", number * len(test) + done, count * len(test))

    prepared = prepared_as_bundled
    logits = predict(network.session, test.images, network.preprocessing, step=step, prepared=prepared)
    return softmax(logits.numpy())
