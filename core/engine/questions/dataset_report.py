"""Answers requests for reports on imported datasets and for samples of any dataset; results are cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.engine.data.catalog import datasets, load_dataset
from core.engine.data.dataset import Indices, Split
from core.engine.data.imports.imported import find_home, own_datasets, read_own
from core.engine.data.imports.inspection import inspect
from core.engine.data.photos import read_square
from core.engine.data.published.load import Photos, split_listing
from core.engine.data.published.photo_sets import list_photos
from core.engine.data.sets import known_datasets
from core.engine.data.strips import TILE, strip
from core.engine.questions.import_data import Telling
from core.errors import UserError, nearest
from core.files import make_folder
from core.jobs import Job
from core.own.dataset_report import SAMPLES_SHOWN, Report
from core.questions.dataset_report import ReportRequest
from core.storage.sealed import write_kept
from core.workspace import Workspace
from core.workspace_files.report_cache import kept_path, kept_picture, kept_report, key_of

Tick = Callable[[str, int, int], None]


def answer(request: ReportRequest, job: Job) -> Report:
    """The report; raises UserError if the dataset was not imported, CancelledError if the job is cancelled."""
    return dataset_report(request.dataset, job.workspace, Telling(job))


def dataset_report(name: str, workspace: Path, tick: Tick) -> Report:
    """The report on the current version of an imported dataset, from the cache if possible; raises UserError."""
    store = Workspace(workspace)
    home = find_home(name, store.datasets)
    if home is None:
        known = own_datasets(store.datasets)
        raise UserError("unknown_dataset", "dataset", name, "a dataset of your own", nearest(name, known))
    kept = kept_report(store, name)
    if kept is not None:
        return kept
    key = key_of(store, name)
    found = inspect(read_own(home), tick)
    for part, picture in found.pictures.items():
        _keep(store, key, part, picture)
    _keep(store, key, "report", found.report.model_dump_json().encode())
    return found.report


def dataset_samples(names: Sequence[str], workspace: Path, tick: Tick) -> list[str]:
    """Makes a strip of samples for each named dataset on this machine; returns the names of those with one."""
    store = Workspace(workspace)
    known = datasets(store.datasets)
    made = []
    for number, name in enumerate(names):
        tick("drawing samples", number, len(names))
        if name not in known or not known[name].at_hand:
            continue
        if known[name].where == "own":
            dataset_report(name, workspace, tick)
        elif kept_picture(store, name, "samples") is None:
            _keep(store, key_of(store, name), "samples", strip(_samples(name, store.datasets)))
        made.append(name)
    return made


def _keep(store: Workspace, key: str, part: str, data: bytes) -> None:
    path = kept_path(store.cache, key, part)
    make_folder(path.parent)
    write_kept(path, data)


def _samples(name: str, folder: Path) -> Iterator[Image.Image]:
    """A few training images of different classes."""
    published = known_datasets().get(name)
    if isinstance(published, Photos):
        listing = split_listing(list_photos(published.layout, folder / name / "files"))
        for place in _places(np.asarray(listing.labels["train"])):
            yield _picture(read_square(listing.paths["train"][place], TILE, published.channels))
        return
    data = load_dataset(name, TILE, folder=folder)
    for place in _places(data.train.labels.numpy()):
        yield _of(data.train, place)


def _of(split: Split, place: int) -> Image.Image:
    return _picture(split.images[place].numpy())


def _picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """uint8 [C, H, W] as an image."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def _places(labels: Indices) -> list[int]:
    """The indices of the first image of each class, then of the second ones, until there are enough."""
    order = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    rounds = (
        (start + turn)
        for turn in range(SAMPLES_SHOWN)
        for start, count in zip(starts, counts, strict=True)
        if turn < count
    )
    return [int(order[place]) for place, _ in zip(rounds, range(SAMPLES_SHOWN), strict=False)]
