"""Single images of a run's dataset, as a question: drawn once, then kept in the cache."""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.data.of_run import dataset_of, target_images, target_of
from core.engine.data.strips import picture
from core.engine.questions.import_data import Telling
from core.errors import UserError
from core.files import make_folder
from core.jobs import Job
from core.questions.pictures import MOST, Pictures, PicturesRequest
from core.runs import Run
from core.storage.sealed import write_kept
from core.workspace import Workspace
from core.workspace_files.pictures import kept_at, kept_picture


def answer(request: PicturesRequest, job: Job) -> Pictures:
    """Raises UserError on a place without an image, and where the dataset is gone or damaged."""
    if len(request.places) > MOST:
        raise UserError("out_of_range", "places", len(request.places), f"at most {MOST} images", "Ask for fewer.")
    store = Workspace(job.workspace)
    run = store.run(request.run)
    missing = [place for place in request.places if kept_picture(store, run, request.split, place) is None]
    if missing:
        _draw(_images(request, run, store, Telling(job)), missing, request.split, store, run)
    return Pictures(len(request.places))


def _images(request: PicturesRequest, run: Run, store: Workspace, tell: Telling) -> Tensor:
    """uint8 [N, C, H, W]; none where the run has no target."""
    if request.split == "target":
        target = target_of(run, store, tell)
        return target_images(target) if target is not None else torch.empty(0)
    data = dataset_of(run, store, tell)
    return data.validation.images if request.split == "validation" else data.test.images


def _draw(images: Tensor, places: list[int], name: str, store: Workspace, run: Run) -> None:
    for place in places:
        if not 0 <= place < len(images):
            allowed = f"0 to {len(images) - 1}" if len(images) else "a split that the run has"
            raise UserError("out_of_range", "places", place, allowed, "Choose an image of the set.")
        path = kept_at(store, run, name, place)
        make_folder(path.parent)
        write_kept(path, picture(images[place].numpy()))
