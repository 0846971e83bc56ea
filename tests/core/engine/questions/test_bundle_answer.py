"""A bundle as a job: what the zip answers, unpacked elsewhere, is what was measured; and what it says if it is not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.engine.data import load_dataset
from core.engine.questions import bundle as engine
from core.engine.questions.answer import answer
from core.errors import UserError
from core.jobs import Job
from core.questions.bundle import Bundled, BundleRequest, formats_of, question
from core.run_files.bundling import ZIP, file_name, unpack
from core.runs import Run
from core.workspace import Workspace


def asked(store: Workspace, run: Run, step: int, *formats: str) -> Job:
    """A job that is over."""
    job = store.ask(question(run, step, formats))
    answer(job)
    return job


def built(job: Job) -> Bundled:
    return BundleRequest.answer_from_document(job.result())


@pytest.mark.parametrize("step", [0, 2])
def test_the_zip_answers_every_test_image_as_measured(
    step: int, store: Workspace, finished: Run, tmp_path: Path
) -> None:
    job = asked(store, finished, step)
    found = built(job)
    assert found.test is not None
    assert found.samples is not None
    assert (found.test.images, found.test.same, found.test.difference) == (360, 360, 0.0)
    assert (found.samples.images, found.samples.same, found.samples.difference) == (64, 64, 0.0)
    assert found.agrees
    assert (found.name, found.bytes) == (f"condenser-small-digits-step-{step}.zip", (job.folder / ZIP).stat().st_size)
    folder = unpack(job.folder / ZIP, tmp_path)
    assert {path.name for path in folder.iterdir()} == set(found.files)
    test = load_dataset("digits", 8).test
    Image.fromarray(test.images[0, 0].numpy()).save(tmp_path / "first.png")
    alone = [sys.executable, "-I", str(folder / "predict.py"), str(tmp_path / "first.png")]
    told = subprocess.run(alone, capture_output=True, text=True, cwd="/", check=True).stdout
    stored = np.load(finished.artifacts / f"step-{step}" / "predictions.npz")
    assert json.loads(told)["index"] == stored["test_answers"][0]


def test_the_same_model_gives_the_same_bytes(store: Workspace, finished: Run) -> None:
    first, again = (asked(store, finished, 1).folder / ZIP for _ in range(2))
    assert first.read_bytes() == again.read_bytes()


def test_other_answers_are_counted_and_said(store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against answers that are not its own, the very same file does not agree."""
    real = engine._Packing.kept

    def other(self: engine._Packing, name: str) -> dict[str, object]:
        known = dict(real(self, name) or {})
        return known | {"test_answers": (known["test_answers"] + (np.arange(360) < 7)) % 10}

    monkeypatch.setattr(engine._Packing, "kept", other)
    found = built(asked(store, finished, 0))
    assert found.test is not None
    assert (found.test.images - found.test.same, found.agrees) == (7, False)


def test_further_formats_come_with_how_they_answer(store: Workspace, finished: Run) -> None:
    assert set(formats_of(finished, 1)) == {"openvino", "safetensors", "torch_export"}
    found = built(asked(store, finished, 1, "safetensors", "torch_export"))
    for one in found.formats:
        assert one.compared is not None, one.refused
        assert one.compared.same == one.compared.images == 64
        assert 0 <= one.compared.difference < 1e-3
    assert {"safetensors/model.safetensors", "safetensors/labels.json", "torch_export/model.pt2"} <= set(found.files)


def test_a_format_that_cannot_be_written_says_why_and_the_rest_is_there(
    store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.engine.method.lacks", lambda package: True)
    found = built(asked(store, finished, 2, "openvino"))
    (one,) = found.formats
    assert one.compared is None
    assert one.refused is not None
    assert one.refused["code"] == "missing_extra"
    assert not any(name.startswith("openvino") for name in found.files)
    assert found.agrees


def test_a_quantized_file_is_not_offered_as_floats(finished: Run) -> None:
    assert set(formats_of(finished, 2)) == {"openvino"}
    with pytest.raises(UserError) as told:
        question(finished, 2, ["safetensors"])
    assert (told.value.code, told.value.field) == ("unknown_format", "formats")


def test_what_cannot_be_packed_is_said_and_leaves_no_zip(store: Workspace, finished: Run, tmp_path: Path) -> None:
    damaged = Workspace.open_or_create(tmp_path)
    shutil.copytree(finished.folder, damaged.path / "runs" / finished.id)
    run = damaged.run(finished.id)
    model = run.artifacts / "step-0" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    job = asked(damaged, run, 0)
    with pytest.raises(UserError) as told:
        job.result()
    assert told.value.code == "damaged_artifact"
    assert not (job.folder / ZIP).exists()
    stopped = store.ask(question(finished, 0))
    stopped.cancel()
    answer(stopped)
    with pytest.raises(UserError) as told:
        stopped.result()
    assert told.value.code == "cancelled"
    assert not (stopped.folder / ZIP).exists()


def test_without_its_images_only_the_samples_are_compared(
    store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*words: object, **more: object) -> None:
        raise UserError("unknown_dataset", "dataset", "digits", "", "")

    monkeypatch.setattr(engine, "load_dataset", gone)
    found = built(asked(store, finished, 0))
    assert found.test is None
    assert found.samples is not None
    assert found.samples.same == 64


@pytest.mark.parametrize(("name", "plain"), [("../../etc", "etc"), ("名 🦊/x", "名-x"), ("***", None)])
def test_a_zip_is_named_safely(name: str, plain: str | None, store: Workspace) -> None:
    run = store.create_run(
        f'name = "{name}"\ndataset = "digits"\nbackbone = "resnet8"\n[[steps]]\nstage = "transfer"\n'
        'method = "linear_probe"\n'
    )
    assert file_name(run, 3) == f"condenser-{plain or run.id}-step-3"
