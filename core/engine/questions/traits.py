"""Brightness and size of the test images of a run, as a question."""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.data.augment import LUMINANCE
from core.engine.data.dataset import AT_ONCE
from core.engine.data.imports.imported import find_home, read_version
from core.engine.data.imports.inspection import sides_of
from core.engine.data.of_run import dataset_of
from core.engine.questions.import_data import Telling
from core.jobs import Job
from core.questions.traits import Traits, TraitsRequest
from core.runs import Run
from core.workspace import Workspace


def answer(request: TraitsRequest, job: Job) -> Traits:
    """The properties; raises UserError if the images are gone or damaged."""
    store, tell = Workspace(job.workspace), Telling(job)
    run = store.run(request.run)
    images = dataset_of(run, store, tell).test.images
    return Traits(tuple(brightness(images).tolist()), sides(run, store, len(images)))


def brightness(images: Tensor) -> Tensor:
    """The mean luminance [N] of uint8 images [N, 1 or 3, H, W], from 0 to 1."""
    shares = torch.tensor(LUMINANCE if images.shape[1] == 3 else (1.0,))
    rows = [(block.float().mean((2, 3)) * shares).sum(1) / 255 for block in torch.split(images, AT_ONCE)]
    return torch.cat(rows)


def sides(run: Run, store: Workspace, count: int) -> tuple[int, ...]:
    """The shorter side of each test image as stored; none for a dataset that is not a person's own."""
    home = find_home(run.recipe().dataset, store.datasets)
    if home is None:
        return ()
    card = read_version(home, run.state().environment.get("dataset_version", "")).card
    known = sides_of(home, card)
    found = tuple(min(known.get(image.file, (0, 0))) for image in card.images if image.split == "test")
    return found if len(found) == count and all(found) else ()
