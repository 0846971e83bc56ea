"""The preview of augmentation holds the very pixels that training begins with."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.engine.context import CancelledError
from core.engine.pipeline.run import run_recipe
from core.engine.questions.answer import answer
from core.engine.questions.augmented import SHOWN, _method, first_images
from core.engine.training.batches import Batch, Feed
from core.errors import UserError
from core.questions.augmented import AugmentedRequest
from core.recipe import parse_recipe
from core.workspace import Workspace

RECIPE = """
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 120
seed = 3

[[steps]]
stage = "transfer"
method = "{method}"
epochs = 1
learning_rate = 0.01
augment = "{augment}"
erasing = 0.5
"""


@pytest.mark.parametrize(("method", "augment"), [("fine_tune", "shift"), ("partial", "rand_augment")])
def test_they_are_the_pixels_of_the_first_batch(
    method: str, augment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, text = Workspace.open_or_create(tmp_path), RECIPE.format(method=method, augment=augment)
    seen: list[Batch] = []
    real = Feed.epoch

    def watched(self: Feed, epoch: int) -> Iterator[Batch]:
        seen.append(next(iter(real(self, epoch))))
        raise CancelledError

    job = store.create_job("augmented", AugmentedRequest(text, 0).to_document())
    recipe = parse_recipe(text)
    before, after = first_images(recipe, _method(recipe, 0), 0, job)
    monkeypatch.setattr(Feed, "epoch", watched)
    with pytest.raises(CancelledError):
        run_recipe(store.create_run(text), 1)
    assert torch.equal(seen[0].raw[:SHOWN], after)
    assert not torch.equal(before, after)


def test_the_answer_is_two_rows_of_pictures(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    job = store.create_job(
        "augmented", AugmentedRequest(RECIPE.format(method="fine_tune", augment="none"), 0).to_document()
    )
    answer(job)
    found: dict[str, Any] = dict(job.result())
    rows = [np.asarray(Image.open(io.BytesIO(base64.b64decode(found[part])))) for part in ("before", "after")]
    assert found["images"] == SHOWN
    assert rows[0].shape == rows[1].shape
    assert not np.array_equal(rows[0], rows[1]), "half of them are erased in part"


@pytest.mark.parametrize("step", [-1, 1])
def test_a_step_without_augmentation_is_refused(step: int, tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    job = store.create_job(
        "augmented", AugmentedRequest(RECIPE.format(method="fine_tune", augment="none"), step).to_document()
    )
    answer(job)
    with pytest.raises(UserError) as refused:
        job.result()
    assert refused.value.code == "no_augmentation"
