"""Brightness and size of test images: of those that the run was tested on, as they were stored."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import numpy as np
import torch
from PIL import Image

from core.engine.data import Dataset, import_images
from core.engine.data.of_run import dataset_of
from core.engine.questions import traits as engine
from core.questions.traits import TraitsRequest
from core.runs import Run
from core.workspace import Workspace


def test_the_engine_measures_the_images_that_the_run_was_tested_on(
    finished: Run, tmp_path: Path, digits: Dataset
) -> None:
    store = Workspace.open_or_create(tmp_path)
    copytree(finished.folder, tmp_path / "runs" / finished.id)
    request = TraitsRequest(finished.id)
    found = engine.answer(request, store.ask(request))
    np.testing.assert_allclose(found.brightness, digits.test.images.numpy().mean((1, 2, 3)) / 255, atol=1e-6)
    assert found.side == ()


def test_luminance_is_that_of_pillow() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    known = [np.asarray(Image.fromarray(each).convert("L")).mean() / 255 for each in pixels]
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    np.testing.assert_allclose(engine.brightness(images).numpy(), known, atol=3e-3)


def test_sides_of_ones_own_images_are_as_stored(tmp_path: Path) -> None:
    workspace = Workspace.open_or_create(tmp_path / "w")
    for label in ("a", "b"):
        (tmp_path / "given" / label).mkdir(parents=True)
        for side in range(10, 20):
            pixels = np.random.default_rng(side).integers(0, 256, (side, side + 9), dtype=np.uint8)
            Image.fromarray(pixels if label == "a" else 255 - pixels).save(tmp_path / "given" / label / f"{side}.png")
    import_images(tmp_path / "given", "own", workspace.datasets)
    recipe = 'dataset = "own"\nbackbone = "resnet8"\n[[steps]]\nstage = "transfer"\nmethod = "fine_tune"\n'
    run = workspace.create_run(recipe)
    data = dataset_of(run, workspace, lambda *each: None)
    found = engine.sides(run, workspace, len(data.test))
    assert len(found) == len(data.test)
    assert set(found) <= set(range(10, 20))
