"""Robustness of saved files: counted as onnxruntime answers corrupted images, kept, cancelled, taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from core.engine.data import Dataset, Split, prepare_numpy
from core.engine.data.corruptions import corrupted
from core.engine.model import Preprocessing
from core.engine.questions import robustness as engine
from core.engine.questions.answer import answer
from core.errors import UserError
from core.events import Measured
from core.questions.corruptions import CORRUPTIONS, SEVERITIES
from core.questions.robustness import Robustness, RobustnessRequest
from core.run_files.sides import Side, side
from core.runs import Run
from core.workspace import Workspace
from tests.sessions import opened

FEW = 40


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Workspace:
    store = Workspace.open_or_create(tmp_path)
    copytree(finished.folder, tmp_path / "runs" / finished.id)
    return store


def asked(store: Workspace, *steps: int) -> Robustness:
    request = RobustnessRequest(tuple(f"{store.run_ids()[0]}:{step}" for step in steps), FEW)
    return engine.answer(request, store.ask(request))


def right(chosen: Side, split: Split, images: np.ndarray) -> int:
    """By onnxruntime alone, one image at a time."""
    pixels = Preprocessing.from_json(json.loads((chosen.run.folder / chosen.card).read_bytes())["preprocessing"])
    session = opened(chosen.run.folder / str(chosen.point.artifact))
    answers = [session.run(None, {"image": prepare_numpy(image[None], pixels)})[0].argmax() for image in images]
    return int((np.array(answers) == split.labels.numpy()).sum())


@pytest.mark.thorough
def test_every_cell_is_measured_and_counted_right(copied: Workspace, digits: Dataset) -> None:
    found = asked(copied, 0, 2)
    cells = {(row.point, row.corruption, row.severity): row.right for row in found.rows}
    assert len(cells) == len(found.rows) == 2 * (1 + len(CORRUPTIONS) * len(SEVERITIES))
    split = engine.subset(digits.test, FEW, 10)
    assert (found.images, len(split)) == (FEW, FEW)
    assert np.bincount(split.labels, minlength=10).min() >= 3, "every class"
    for step in (0, 2):
        chosen = side(copied, f"{copied.run_ids()[0]}:{step}")
        assert cells[chosen.id, "", 0] == right(chosen, split, split.images.numpy())
        for name in ("gaussian_noise", "fog"):
            there = corrupted(split.images.numpy(), name, 5)
            assert cells[chosen.id, name, 5] == right(chosen, split, there)
    clean, worst = (np.mean([v for (_, _, s), v in cells.items() if s == severity]) for severity in (0, 5))
    assert worst < clean - 2, "corruption costs"
    again = asked(copied, 0, 2)
    assert (again.rows, again.cached) == (found.rows, True)


@pytest.fixture
def few_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CELLS", engine.CELLS[:13])


@pytest.mark.usefixtures("few_cells")
def test_it_goes_on_where_it_was_stopped(copied: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, int]] = []
    request = RobustnessRequest((f"{copied.run_ids()[0]}:1",), FEW)
    job = copied.ask(request)

    def counted(images: np.ndarray, name: str, severity: int) -> np.ndarray:
        drawn.append((name, severity))
        if len(drawn) == 7:
            job.cancel()
        return corrupted(images, name, severity)

    monkeypatch.setattr(engine, "corrupted", counted)
    answer(job)
    with pytest.raises(UserError) as caught:
        job.result()
    assert caught.value.code == "cancelled"
    assert len(request.answer_from_document(job.partial() or {}).rows) == 8, "seven, and the clean images"
    whole = asked(copied, 1)
    assert len(drawn) == len(set(drawn)) == 12, "nothing twice"
    assert not whole.cached


@pytest.mark.usefixtures("few_cells")
def test_damaged_counts_are_measured_again(copied: Workspace, digits: Dataset) -> None:
    whole = asked(copied, 0)
    chosen = side(copied, f"{copied.run_ids()[0]}:0")
    path = engine.kept_path(chosen, digits.content_hash, FEW)
    path.write_bytes(path.read_bytes()[:-2])
    again = asked(copied, 0)
    assert (again.rows, again.cached) == (whole.rows, False)


def test_points_on_other_data_are_refused(copied: Workspace) -> None:
    run = copied.run(copied.run_ids()[0])
    other = copied.create_run(run.recipe_text.replace('dataset = "digits"', 'dataset = "usps"'))
    other.emit(Measured("point", 0, run.summary().points[0]))
    request = RobustnessRequest((f"{run.id}:0", f"{other.id}:0"), FEW)
    with pytest.raises(UserError) as caught:
        engine.answer(request, copied.ask(request))
    assert caught.value.code == "other_images"
