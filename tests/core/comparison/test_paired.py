"""Two models on the same images: the counts against numpy's own reading of the saved answers, chance against scipy."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

from core.comparison.difference import Paired
from core.comparison.paired import compared, integers, paired, right
from core.events import ArtifactSaved, RunFinished, RunStarted
from core.points import Point
from core.runs import Run
from core.workspace import Workspace


def point(step: int) -> Point:
    return Point(step=step, stage="transfer", method="x", name=f"{step}", artifact=f"artifacts/step-{step}/model.onnx")


def answered(run: Run, step: int, answers: np.ndarray, labels: np.ndarray) -> Path:
    path = run.artifacts / f"step-{step}" / "predictions.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, test_answers=answers, test_labels=labels)
    data = path.read_bytes()
    name = path.relative_to(run.folder).as_posix()
    run.emit(ArtifactSaved(step, name, len(data), hashlib.sha256(data).hexdigest()))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Workspace.open_or_create(tmp_path).create_run('name = "x"')
    run.emit(RunStarted(1, {}))
    return run


def test_the_images_that_only_one_gets_right_are_counted(run: Run) -> None:
    random = np.random.default_rng(0)
    labels, one, other = (random.integers(0, 4, 500) for _ in range(3))
    answered(run, 0, one, labels)
    answered(run, 1, other, labels)
    right, also = one == labels, other == labels
    assert paired(run, point(0), point(1)) == Paired(int((right & ~also).sum()), int((also & ~right).sum()))


def test_a_model_of_another_run_is_compared_on_the_same_images_alone(run: Run, tmp_path: Path) -> None:
    labels = np.arange(9)
    answered(run, 0, labels, labels)
    other = Workspace.open_or_create(tmp_path).create_run('name = "y"')
    other.emit(RunStarted(1, {}))
    answered(other, 0, np.where(labels < 2, 8, labels), labels)
    mine, theirs = (right(one, point(0).artifact) for one in (run, other))
    assert compared(mine, theirs) == Paired(2, 0)
    answered(other, 1, labels, labels[::-1].copy())
    assert compared(mine, right(other, point(1).artifact)) is None


def test_answers_that_cannot_be_trusted_are_none(run: Run) -> None:
    labels = np.arange(9)
    answered(run, 0, labels, labels)
    other = answered(run, 1, labels, labels[::-1].copy())
    assert paired(run, point(0), point(1)) is None, "of other images"
    other.write_bytes(other.read_bytes()[:-3])
    assert paired(run, point(0), point(1)) is None, "not as they were saved"
    other.unlink()
    assert paired(run, point(0), point(1)) is None
    assert paired(run, point(0), point(0).model_copy(update={"artifact": None})) is None


def test_only_rows_of_whole_numbers_are_read() -> None:
    for array in (np.zeros(3), np.zeros((2, 2), np.int64), np.zeros(3, np.int32)):
        file = io.BytesIO()
        np.save(file, array)
        with pytest.raises(ValueError, match="an array of other numbers"):
            integers(file.getvalue())
    file = io.BytesIO()
    np.save(file, np.array([3, -1, 2**40]))
    assert integers(file.getvalue()) == (3, -1, 2**40)
    with pytest.raises(ValueError, match="2 numbers of 3"):
        integers(file.getvalue()[:-8])


@pytest.mark.parametrize("ended", [True, False])
def test_a_file_that_is_written_anew_is_read_anew(run: Run, ended: bool) -> None:
    labels = np.arange(9)
    path = answered(run, 0, labels, labels)
    if ended:
        run.emit(RunFinished())
    assert right(run, point(0).artifact) == right(run, point(0).artifact)
    kept = path.read_bytes()
    path.write_bytes(kept[::-1])
    assert right(run, point(0).artifact) is None, "not as it was saved, though it was read before"
    path.write_bytes(kept)
    found = right(run, point(0).artifact)
    assert found is not None
    assert found.images == 2**9 - 1
