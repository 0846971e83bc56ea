"""Saved models answer to a person's picture, or to a test image, each in its runtime and on its own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.engine.data import prepare_numpy
from core.engine.data.imports.decoder_pool import Decoder, Unreadable
from core.engine.data.imports.picture import Opened
from core.engine.data.imports.sources import opened
from core.engine.measure.saved_model import SavedModel, open_model
from core.engine.model import Preprocessing
from core.engine.png import as_png, upright
from core.errors import UserError
from core.jobs import Job
from core.points import Latency
from core.questions.classify import MOST_POINTS, Answer, Answering, Classified, ClassifyRequest, Picture
from core.run_files.artifacts import AGAIN
from core.run_files.bundle import SAMPLES
from core.workspace import Workspace
from core.workspace_files.uploads import drop, is_upload

DECODER = Decoder()  # one child that stays, as the worker does
Networks = list[SavedModel | UserError]
Prepared = NDArray[np.float32]


def answer(request: ClassifyRequest, job: Job) -> Classified:
    """Probabilities and milliseconds of each model that can be opened; the others say why not. Raises UserError where
    the picture that is asked about is not there."""
    store = Workspace(job.workspace)
    contents = taken(store, request.upload) if request.upload else []
    networks = open_all(store, request.points)
    picture: Opened | NDArray[np.uint8] | None = Opened(contents[0], DECODER) if contents else None
    models, answers = list[Answering](), list[Answer | None]()
    for network in networks:
        if isinstance(network, UserError):
            models.append(described(network))
            answers.append(None)
            continue
        picture = kept_image(network, request.sample) if picture is None else picture
        image = _prepared(picture, network)
        if isinstance(image, Unreadable):
            return Classified(tuple(map(described, networks)), (Picture(reason=image.reason),))
        models.append(described(network, network.timed(image)))
        answers.append(answered(network, image, seen=True))
    return Classified(tuple(models), (Picture(tuple(answers)),))


def _prepared(picture: Opened | NDArray[np.uint8], network: SavedModel) -> Prepared | Unreadable:
    if isinstance(picture, Opened):
        return picture.prepared(network.pixels)
    return prepare_numpy(picture[None], network.preprocessing)


def taken(store: Workspace, upload: str) -> list[bytes]:
    """The pictures of an upload, which is gone afterwards. Raises UserError `missing_upload` where it is none."""
    path = Path(upload)
    if not is_upload(store, path) or not path.is_file():
        raise UserError("missing_upload", "picture", path.name, "a picture that was just given", "Give it again.")
    try:
        with opened(path) as source:
            return [found.read() for found in source.files]
    finally:
        drop(store, path)


def open_all(store: Workspace, points: Sequence[str]) -> Networks:
    """Every point's saved file, or why it cannot be opened."""
    if not 1 <= len(points) <= MOST_POINTS:
        raise UserError("out_of_range", "points", len(points), f"1 to {MOST_POINTS}", "Choose fewer models.")
    return [_open(store, name) for name in points]


def _open(store: Workspace, name: str) -> SavedModel | UserError:
    try:
        return open_model(store, name)
    except UserError as error:
        return error


def described(network: SavedModel | UserError, latency: Latency | None = None) -> Answering:
    """A model as the answer names it."""
    if isinstance(network, UserError):
        return Answering(refused=dict(network.to_json()))
    if latency is None:
        return Answering(network.classes, threads=network.threads)
    return Answering(network.classes, latency.p50, latency.n, latency.threads, latency.runtime, latency.noisy)


def answered(network: SavedModel, image: Prepared, *, seen: bool = False) -> Answer:
    """Its probabilities, and on request what it was given."""
    shares = network.probabilities(image)
    return Answer(tuple(map(float, shares)), as_png(levels(image[0], network.preprocessing)) if seen else "")


def kept_image(network: SavedModel, place: int) -> NDArray[np.uint8]:
    """uint8 [C, H, W]: one of the test images kept beside the file. Raises UserError where they are not there, or not
    so many."""
    images: NDArray[np.uint8] = network.kept(SAMPLES)["images"]
    if not 0 <= place < len(images):
        raise UserError("out_of_range", "picture", place, f"0 to {len(images) - 1}", AGAIN)
    found: NDArray[np.uint8] = images[place]
    return found


def levels(image: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """What a network is given, [channels, S, S], as levels from 0 to 255 [S, S] or [S, S, 3]."""
    mean, deviation = (np.array(v, np.float32)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    shown = ((image * deviation + mean) * 255).round().clip(0, 255).astype(np.uint8)
    return upright(shown)
