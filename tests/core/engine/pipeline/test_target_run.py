"""A whole run with a target: every saved file is told on it too, controls alike; strangers are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch
from PIL import Image

from core.assets import RECIPES
from core.commands import runs
from core.engine.data import import_images, load_dataset
from core.engine.measure.calibration import wilson_interval
from core.engine.measure.runtime import open_session, predict
from core.engine.model import Preprocessing
from core.engine.pipeline.run import run_recipe
from core.engine.pipeline.step_cache import StepCache
from core.errors import UserErrors
from core.points import Point
from core.recipe import load_recipe, parse_recipe
from core.run_files.bundle import CARD
from core.runs import Run
from core.state import Status
from core.workspace import Workspace

RECIPE = """
dataset = "glyphs"
target = "{target}"
backbone = "resnet8"
image_size = 8
labels = 300
precision = "float32"

[[steps]]
stage = "transfer"
method = "dann"
epochs = 2
learning_rate = 0.01
backbone_rate = 1.0

[[steps]]
stage = "quantize"
method = "static"
"""


def finished_run(run: Run) -> None:
    """The run, done here and now."""
    run_recipe(run, os.getpid())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    workspace = Workspace.open_or_create(tmp_path_factory.mktemp("target"))
    run = workspace.create_run(RECIPE.format(target="digits"))
    finished_run(run)
    assert run.state().status is Status.FINISHED, run.state().details
    return run


def test_every_saved_file_is_told_on_the_targets_test_images(run: Run) -> None:
    summary = run.summary()
    assert [point.method for point in summary.points] == ["dann", "static"]
    assert [(c.control, c.name, c.backbone) for c in summary.controls] == [("source_only", "source only", "resnet8")]
    assert {(point.control, point.backbone) for point in summary.points} == {(None, "resnet8")}
    digits = load_dataset("digits", 8)
    for point in (*summary.points, *summary.controls):
        right = answers(run, point) == digits.test.labels
        assert point.target_accuracy == pytest.approx(float(right.double().mean()), abs=1e-9)
        low, high = wilson_interval(int(right.sum()), len(right))
        assert (point.target_accuracy_low, point.target_accuracy_high) == (low, high)
        assert point.accuracy != point.target_accuracy


def answers(run: Run, point: Point) -> torch.Tensor:
    assert point.artifact is not None
    path = run.folder / point.artifact
    preprocessing = Preprocessing.from_json(json.loads(path.with_name(CARD).read_text())["preprocessing"])
    return predict(open_session(path, 1), load_dataset("digits", 8).test.images, preprocessing).argmax(1)


def test_classes_with_nothing_in_common_are_refused_before_any_work(tmp_path: Path) -> None:
    workspace = Workspace.open_or_create(tmp_path / "w")
    for name in ("ears", "noses"):
        folder = tmp_path / "mine" / name
        folder.mkdir(parents=True)
        for shade in range(12):
            Image.new("L", (8, 8), 20 * shade + (name == "ears")).save(folder / f"{shade}.png")
    import_images(tmp_path / "mine", "mine", workspace.datasets)
    run = workspace.create_run(RECIPE.format(target="mine"))
    with pytest.raises(UserErrors, match="ears, noses") as caught:
        finished_run(run)
    (error,) = caught.value.errors
    assert (error.code, error.field) == ("nothing_in_common", "target")
    assert "dataset = glyphs" in error.allowed
    assert not run.state().steps
    assert not run.artifacts.exists() or not list(run.artifacts.iterdir())


def test_models_are_kept_by_the_targets_content(tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE.format(target="digits"))
    data = load_dataset("glyphs", 8)
    one, two, same = (StepCache(tmp_path, recipe, data, torch.device("cpu"), name) for name in ("a", "b", "a"))
    assert one.key(0, 0) != two.key(0, 0)
    assert one.key(0, 0) == same.key(0, 0)


def test_the_bundled_recipe_adapts_from_print_to_handwriting() -> None:
    assert "adapt-digits" in get_args(get_type_hints(runs.demo)["recipe"])
    recipe = load_recipe(RECIPES / "adapt-digits.toml")
    assert (recipe.dataset, recipe.target) == ("glyphs", "digits")
