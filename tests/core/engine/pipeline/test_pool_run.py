"""Whole runs with a pool and with targets without labels: what they change, and what the receipt says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.engine.data import Dataset, import_data, import_images, load_dataset
from core.engine.data.imports.editing import edit_dataset
from core.engine.questions.preview import preview
from core.errors import UserError
from core.own.dataset_edits import AddImages
from core.points import Point
from core.questions.preview import Preview
from core.recipe import parse_recipe
from core.runs import Run
from core.storage.sealed import file_hash
from core.workspace import Workspace
from core.workspace_files.dataset_trash import delete_dataset
from tests.core.engine.pipeline.forked import Engine
from tests.videos import clip

DISTIL = """
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 60
precision = "float32"
{line}
[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1
least_steps = 0

[[steps]]
stage = "distill"
method = "kd"
width = 4
epochs = 1
least_steps = 0
twin = false
"""
ADAPT = """
dataset = "glyphs"
target = "clip"
backbone = "resnet8"
image_size = 8
labels = 200
precision = "float32"

[[steps]]
stage = "transfer"
method = "coral"
epochs = 1
source_only = false
"""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", 8)


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "w")


def pictures(folder: Path, digits: Dataset) -> Path:
    """200 noise pictures of 8 px in colour, and copies of three test images."""
    folder.mkdir()
    for number in range(200):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    for number in range(3):
        Image.fromarray(digits.test.images[number, 0].numpy()).save(folder / f"test-{number}.png")
    return folder


def notes_of(point: Point) -> list[str]:
    found = (point.receipt or {})["notes"]
    assert isinstance(found, list)
    return [str(note) for note in found]


def weights(run: Run, step: int) -> str:
    return file_hash(run.artifacts / f"step-{step}" / "model.onnx")


@pytest.mark.thorough
def test_a_pool_changes_the_student_alone_and_is_on_its_receipt(
    engine: Engine, store: Workspace, tmp_path: Path, digits: Dataset
) -> None:
    import_images(pictures(tmp_path / "given", digits), "frames", store.datasets, unlabelled=True)
    without, with_pool = (engine.finish(store.create_run(DISTIL.format(line=line))) for line in ("", 'pool = "frames"'))
    assert weights(without, 0) == weights(with_pool, 0), "the teacher has labels only"
    assert weights(without, 1) != weights(with_pool, 1)
    notes = [notes_of(point) for point in with_pool.summary().points]
    own = len(digits.train) - 60
    assert not any("frames" in note for note in notes[0])
    assert notes[1][:2] == [
        f"Learned without labels from 200 images of frames and {own:,} training images of the dataset whose labels are "
        "not used.",
        "The images of frames were converted from colour to grey.",
    ]
    assert notes[1][2] == "Left out of frames: 3 equal to validation or test images of digits."
    assert with_pool.state().environment["pool_version"]
    assert not any("frames" in warning.message for warning in without.state().warnings)


@pytest.mark.thorough
def test_the_forecast_counts_the_pool(store: Workspace, tmp_path: Path, digits: Dataset) -> None:
    import_images(pictures(tmp_path / "given", digits), "frames", store.datasets, unlabelled=True)

    def asked(line: str) -> Preview:
        return preview(DISTIL.format(line=line).replace("width = 4", "width = 16"), store.path)

    alone, more = asked(""), asked('pool = "frames"')
    assert more.memory_bytes > alone.memory_bytes
    assert [row.params for row in alone.rows] == [row.params for row in more.rows]


@pytest.mark.thorough
def test_adaptation_to_a_video_reports_on_its_labelled_part(
    engine: Engine, store: Workspace, tmp_path: Path, digits: Dataset
) -> None:
    frames = [image[0] for image in digits.train.images[:80].numpy()]
    import_data(clip(tmp_path / "clip.mp4", frames), "clip", store.datasets, unlabelled=True, every=0.1)
    blind = engine.finish(store.create_run(ADAPT))
    (point,) = blind.summary().points
    assert point.target_accuracy is None
    assert "clip has no labels" in " ".join(warning.message for warning in blind.state().warnings)
    labelled = tmp_path / "labelled"
    for number, (image, label) in enumerate(zip(digits.test.images, digits.test.labels.tolist(), strict=True)):
        (labelled / str(label)).mkdir(parents=True, exist_ok=True)
        if number < 40:
            Image.fromarray(image[0].numpy()).save(labelled / str(label) / f"{number}.png")
    edit_dataset("clip", AddImages(path=str(labelled)), store.datasets)
    told = engine.finish(store.create_run(ADAPT))
    (point,) = told.summary().points
    assert point.target_accuracy is not None
    assert (40 * point.target_accuracy) == pytest.approx(round(40 * point.target_accuracy))
    assert "its 40 labelled images" in " ".join(warning.message for warning in told.state().warnings)


def test_a_set_that_a_run_needs_is_not_deleted(store: Workspace, tmp_path: Path, digits: Dataset) -> None:
    import_images(pictures(tmp_path / "given", digits), "frames", store.datasets, unlabelled=True)
    store.submit(parse_recipe(DISTIL.format(line='pool = "frames"'), store.catalog()).to_toml())
    with pytest.raises(UserError) as caught:
        delete_dataset(store, "frames")
    assert caught.value.code == "dataset_in_use"
