"""Saved models answer to a picture as their bundles do, and no picture is kept."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.engine.data import load_dataset
from core.engine.questions.answer import answer
from core.errors import UserError
from core.files import remove_tree
from core.jobs import Job
from core.questions.classify import MOST_POINTS, Classified, ClassifyRequest
from core.questions.classify_many import ClassifyManyRequest
from core.run_files.bundle import write_bundle
from core.runs import Run
from core.workspace import Workspace
from core.workspace_files.uploads import keep_files
from tests.core.engine.data.imports.test_images import encoded


def given(store: Workspace, *pictures: bytes) -> str:
    return str(keep_files(store, "pictures", {f"{place:06d}": data for place, data in enumerate(pictures)}))


def asked(store: Workspace, points: Sequence[str], picture: bytes | None = None, sample: int = 0) -> Classified:
    job = store.ask(ClassifyRequest(tuple(points), given(store, picture) if picture is not None else "", sample))
    answer(job)
    return ended(job)


def ended(job: Job) -> Classified:
    """The answer of a job that is over; its folder is removed, as whoever asked does."""
    try:
        return ClassifyRequest.answer_from_document(job.result())
    finally:
        remove_tree(job.folder)


def drawing(seed: int, side: int = 280) -> bytes:
    """A stroke of white on black, as the drawing pad gives it."""
    rows, columns = np.mgrid[0:side, 0:side]
    stroke = np.hypot(rows - side / 2 - 9 * seed, columns - side / 2) % (side / 3) < side / 12
    return encoded(Image.fromarray((255 * stroke).astype(np.uint8)), "PNG")


def every(run: Run) -> list[str]:
    return [f"{run.id}:{step}" for step in (0, 1, 2)]


def test_the_answers_are_those_of_the_bundles(store: Workspace, finished: Run, tmp_path: Path) -> None:
    """The predict.py of each bundle, run on its own, says the same to the last digit that it prints."""
    picture = drawing(1)
    (tmp_path / "it.png").write_bytes(picture)
    found = asked(store, every(finished), picture)
    for step, (model, one) in enumerate(zip(found.models, found.pictures[0].answers, strict=True)):
        write_bundle(finished, step, tmp_path / str(step))
        alone = [sys.executable, "-I", str(tmp_path / str(step) / "predict.py"), str(tmp_path / "it.png")]
        told = json.loads(subprocess.run(alone, capture_output=True, text=True, check=True).stdout)
        assert one is not None
        assert [round(share, 6) for share in one.probabilities] == told["probabilities"]
        assert list(model.classes) == told["labels"]


def test_a_test_image_is_answered_as_measured(store: Workspace, finished: Run) -> None:
    images = load_dataset("digits", 8).test.images
    for place in (0, 7, 63):
        found = asked(store, every(finished), sample=place)
        for step, one in enumerate(found.pictures[0].answers):
            with np.load(finished.artifacts / f"step-{step}" / "predictions.npz") as kept:
                answers, sure = kept["test_answers"], kept["test_confidences"]
            assert one is not None
            assert int(np.argmax(one.probabilities)) == answers[place]
            assert max(one.probabilities) == pytest.approx(sure[place], abs=1e-5)
            with Image.open(io.BytesIO(base64.b64decode(one.seen))) as seen:
                grey = images[place, 0].numpy()[:, :, None]  # this network takes it three times
                np.testing.assert_array_equal(np.asarray(seen), np.repeat(grey, 3, axis=2))


def test_milliseconds_are_measured_and_say_how(store: Workspace, finished: Run) -> None:
    for model in asked(store, every(finished), sample=0).models:
        assert model.milliseconds is not None
        assert 0 < model.milliseconds < 60
        assert (model.runtime, model.threads) == ("onnxruntime", 1)
        assert model.n >= 3


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def test_no_picture_is_kept(store: Workspace, finished: Run) -> None:
    """The workspace is the same, byte for byte: after an answer, after many, and where it is no picture."""
    before = contents(store.path)
    asked(store, every(finished), drawing(2))
    assert asked(store, every(finished), b"no picture").pictures[0].reason == "damaged: its header cannot be read"
    job = store.ask(ClassifyManyRequest(tuple(every(finished)), given(store, drawing(3), drawing(4))))
    answer(job)
    assert len(ended(job).pictures) == 2
    assert contents(store.path) == before


def test_a_picture_is_gone_before_a_model_fails(store: Workspace, finished: Run) -> None:
    """Also where no model can be opened, the picture was removed."""
    before = contents(store.path)
    found = asked(store, ["0000000000000-000000:0"], drawing(0))
    assert found.models[0].refused is not None
    assert found.models[0].refused["code"] == "unknown_run"
    assert found.pictures[0].answers == (None,)
    with pytest.raises(UserError) as told:
        asked(store, every(finished) * MOST_POINTS, drawing(0))
    assert (told.value.code, told.value.field) == ("out_of_range", "points")
    assert contents(store.path) == before


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "jobs/.upload-0/none", ""])
def test_only_what_was_given_through_the_browser_is_opened(path: str, store: Workspace, finished: Run) -> None:
    job = store.ask(ClassifyManyRequest(tuple(every(finished)), path))
    answer(job)
    with pytest.raises(UserError) as told:
        ended(job)
    assert told.value.code == "missing_upload"


def test_files_that_are_gone_or_damaged_keep_no_other_from_answering(
    store: Workspace, finished: Run, tmp_path: Path
) -> None:
    other = Workspace.open_or_create(tmp_path)
    shutil.copytree(finished.folder, other.path / "runs" / finished.id)
    home = other.path / "runs" / finished.id / "artifacts"
    (home / "step-0" / "model.onnx").unlink()
    model = home / "step-1" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    found = asked(other, [*every(finished), f"{finished.id}:9"], drawing(0))
    codes = [one.refused and one.refused["code"] for one in found.models]
    assert codes == ["missing_artifact", "damaged_artifact", None, "unknown_point"]
    assert [one is None for one in found.pictures[0].answers] == [True, True, False, True]


def test_many_pictures_in_their_order_each_with_its_fault(store: Workspace, finished: Run) -> None:
    pictures = [drawing(1), b"", encoded(Image.new("L", (10_001, 5_000)), "PNG"), drawing(2)]
    job = store.ask(ClassifyManyRequest(tuple(every(finished)), given(store, *pictures)))
    answer(job)
    found = ended(job).pictures
    assert [bool(one.reason) for one in found] == [False, True, True, False]
    assert "50 megapixels" in found[2].reason
    for place in (0, 3):
        alone = asked(store, every(finished), pictures[place]).pictures[0].answers
        assert [one and one.probabilities for one in found[place].answers] == [
            one and one.probabilities for one in alone
        ]


def test_sessions_stay_open(store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(store, every(finished), sample=0)

    def refuse(*words: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr("core.engine.measure.saved_model.open_session", refuse)
    assert all(one.refused is None for one in asked(store, every(finished), sample=1).models)
