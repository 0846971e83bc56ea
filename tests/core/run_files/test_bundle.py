"""The bundle as a person takes it away: alone in an empty environment it answers as what was measured."""

from __future__ import annotations

import io
import json
import runpy
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import PIL
import pytest
from PIL import Image

from core import cli
from core.assets import PREDICT
from core.catalog import load_catalog
from core.engine.data import load_dataset, prepare_numpy
from core.engine.model import Preprocessing
from core.errors import UserError
from core.points import Point
from core.run_files.bundle import _measured, write_bundle
from core.runs import Run
from core.workspace import Workspace
from tests.sessions import ROUNDS

EVERYTHING = {
    "model.onnx",
    "labels.json",
    "preprocessing.json",
    "MODEL_CARD.md",
    "recipe.toml",
    "receipt.json",
    "environment.json",
    "requirements.txt",
    "predict.py",
    "benchmark.py",
    "samples.npz",
}
ALONE = """
import runpy, sys
sys.path.append(sys.argv[1])
sys.argv = sys.argv[2:]
sys.modules["torch"] = sys.modules["core"] = None
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds onnxruntime, numpy and pillow, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    site = Path(str(onnxruntime.__file__)).parent.parent
    for name in ("onnxruntime", "numpy", "numpy.libs", "PIL", "pillow.libs"):
        if (site / name).is_dir():
            (folder / name).symlink_to(site / name)
    return folder


def run_alone(alone: Path, script: Path, *words: str, code: int = 0) -> str:
    """What a script prints in an interpreter that sees the standard library and `alone`."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, str(alone), str(script), *words],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bundles(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Bundles of the float file and of the int8 file, moved from where they were written."""
    folder = tmp_path_factory.mktemp("bundles")
    for step in (0, 2):
        written = write_bundle(finished, step, folder / f"written-{step}")
        assert set(written) == EVERYTHING
        shutil.move(folder / f"written-{step}", folder / str(step))
    return {step: folder / str(step) for step in (0, 2)}


def stored(run: Run, step: int, name: str) -> dict[str, Any]:
    with np.load(run.artifacts / f"step-{step}" / name, allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("step", [0, 2])
def test_alone_it_gives_the_stored_predictions(
    step: int, finished: Run, bundles: dict[int, Path], alone: Path, tmp_path: Path
) -> None:
    """Every test image, as a PNG file, is answered as it was when the point was measured."""
    test = load_dataset("digits", 8).test
    for n, image in enumerate(test.images[:, 0].numpy()):
        Image.fromarray(image).save(tmp_path / f"{n}.png")
    files = [str(tmp_path / f"{n}.png") for n in range(len(test))]
    lines = run_alone(alone, bundles[step] / "predict.py", *files).splitlines()
    answers = [json.loads(line) for line in lines]
    predictions = stored(finished, step, "predictions.npz")
    assert [answer["index"] for answer in answers] == predictions["test_answers"].tolist()
    sure = [max(answer["probabilities"]) for answer in answers]
    np.testing.assert_allclose(sure, predictions["test_confidences"], atol=2e-6)
    share = float(np.mean(predictions["test_answers"] == test.labels.numpy()))
    assert share == finished.summary().points[step].accuracy


def test_a_bundle_that_is_interrupted_leaves_no_file(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def writes(path: Path, data: bytes, *, private: bool = True) -> None:
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(path)
        path.write_bytes(data)

    monkeypatch.setattr("core.run_files.bundle.write_atomic", writes)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(finished, 0, tmp_path / "b")
    assert len(written) == 4
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize("out", ["x" * 300, "file/below", "file"])
def test_a_folder_that_cannot_be_made_is_refused(out: str, finished: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(UserError) as told:
        write_bundle(finished, 0, tmp_path / out)
    assert told.value.field == "out"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_label_stands_beside_every_probability(bundles: dict[int, Path], alone: Path, tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "名 🦊.png")
    told = json.loads(run_alone(alone, bundles[0] / "predict.py", str(tmp_path / "名 🦊.png")))
    assert set(told) == {"file", "index", "label", "probabilities", "labels"}
    assert told["labels"] == json.loads((bundles[0] / "labels.json").read_text())
    assert len(told["labels"]) == len(told["probabilities"])
    assert told["labels"][told["index"]] == told["label"]


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims that size."""
    out = io.BytesIO()
    Image.new("L", (8, 8)).save(out, "PNG")
    body = b"IHDR" + struct.pack(">II", width, height) + out.getvalue()[24:29]
    return out.getvalue()[:12] + body + struct.pack(">I", zlib.crc32(body)) + out.getvalue()[33:]


def test_what_cannot_be_read_is_told_in_a_sentence_and_the_others_are_answered(
    bundles: dict[int, Path], alone: Path, tmp_path: Path
) -> None:
    """Pillow warns of a bomb above 89 megapixels and raises its own error above 179."""
    Image.new("L", (8, 8)).save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    odd = {
        "60.png": (claiming(10_000, 6_000), "10000 × 6000 = 60 megapixels; at most 50 are read"),
        "100.png": (claiming(10_000, 10_000), "10000 × 10000 = 100 megapixels; at most 50 are read"),
        "bomb.png": (claiming(100_000, 100_000), "100000 × 100000 = 10000 megapixels; at most 50 are read"),
        "cut.png": (whole[:45], "damaged or cut off"),
        "text.png": (b"text", "no image that can be read; readable are PNG, JPEG, WEBP, BMP, GIF, TIFF"),
        "empty.png": (b"", "no image that can be read; readable are PNG, JPEG, WEBP, BMP, GIF, TIFF"),
    }
    for name, (data, _) in odd.items():
        (tmp_path / name).write_bytes(data)
    files = [*odd, ".", "gone.png", "/dev/null", "good.png"]
    told = run_alone(alone, bundles[0] / "predict.py", *(str(tmp_path / name) for name in files), code=2)
    *refused, answered = (json.loads(line) for line in told.splitlines())
    expected = [
        *(reason for _, reason in odd.values()),
        "a folder; name the images in it",
        "cannot be read: No such file or directory",
        "not a regular file",
    ]
    assert [one["error"] for one in refused] == expected
    assert answered["label"] in answered["labels"]


def test_without_an_image_it_says_how_it_is_used(bundles: dict[int, Path], alone: Path) -> None:
    assert run_alone(alone, bundles[0] / "predict.py", code=2) == ""


@pytest.mark.parametrize("script", ["predict.py", "benchmark.py"])
def test_an_onnxruntime_that_is_too_old_is_told_in_a_sentence(
    script: str, bundles: dict[int, Path], alone: Path, tmp_path: Path
) -> None:
    assert "onnxruntime>=1.18\n" in (bundles[0] / "requirements.txt").read_text()
    assert "onnxruntime>=1.18" in (bundles[0] / "MODEL_CARD.md").read_text()
    future = tmp_path / "future"
    shutil.copytree(bundles[0], future)
    (future / "requirements.txt").write_text("numpy\nonnxruntime>=97.1\npillow\n")
    words = [sys.executable, "-I", "-S", "-c", ALONE, str(alone), str(future / script), "x.png"][
        : 7 + (script[0] == "p")
    ]
    done = subprocess.run(words, capture_output=True, text=True, cwd="/", timeout=120, check=False)
    assert done.returncode == 2
    told = f"needs onnxruntime 97.1 or newer; this is {onnxruntime.__version__}. Run: pip install -r requirements.txt"
    assert done.stderr.strip() == f"model.onnx {told}"


@pytest.mark.parametrize("step", [0, 2])
def test_alone_it_measures_and_checks_itself(step: int, finished: Run, bundles: dict[int, Path], alone: Path) -> None:
    told = json.loads(run_alone(alone, bundles[step] / "benchmark.py", "--seconds", "0.1"))
    assert told["samples"] == {"images": 64, "same_answers": 64, "largest_difference": 0.0, "exact": True}
    here, latency = told["here"], finished.summary().points[step].latency_ms
    assert latency is not None
    assert told["measured"] == latency.model_dump()
    assert 0 < here["p50"] <= here["p95"]
    assert (here["threads"], here["batch"]) == (latency.threads, latency.batch)
    assert here["n"] >= 30


def test_a_model_that_answers_otherwise_is_noticed(bundles: dict[int, Path], alone: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(bundles[0], other)
    samples = dict(np.load(other / "samples.npz"))
    samples["logits"] = np.roll(samples["logits"], 1, axis=1)
    np.savez(other / "samples.npz", **samples)
    told = json.loads(run_alone(alone, other / "benchmark.py", "--seconds", "0.05", code=1))
    assert (told["samples"]["same_answers"], told["samples"]["exact"]) == (0, False)


@pytest.mark.parametrize("size", [8, 20, 37])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_is_measured_sees_what_the_script_sees(mode: str, channels: int, size: int, tmp_path: Path) -> None:
    """The pixels of predict.py, bit for bit, from a file; of grey and colour images, resized and not."""
    predict = runpy.run_path(str(PREDICT))
    planes = np.random.default_rng(size).integers(0, 256, (len(mode), 20, 20), dtype=np.uint8)
    Image.fromarray(planes[0] if mode == "L" else planes.transpose(1, 2, 0)).save(tmp_path / "image.png")
    preprocessing = Preprocessing(size, channels, (0.4, 0.5, 0.6)[:channels], (0.2, 0.3, 0.25)[:channels])
    found = predict["prepare"](str(tmp_path / "image.png"), preprocessing.to_json())
    expected = prepare_numpy(planes[None], preprocessing)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_a_card_leaves_out_what_was_not_measured() -> None:
    bare = Point(step=0, stage="transfer", method="x", name="x", bytes=1000)
    assert _measured(bare) == ["file: 1,000 bytes"]


def test_the_card_tells_what_was_measured_and_whose_it_is(finished: Run, bundles: dict[int, Path]) -> None:
    card = (bundles[2] / "MODEL_CARD.md").read_text()
    point = finished.summary().points[2]
    latency = point.latency_ms
    assert point.accuracy is not None
    assert latency is not None
    digits = load_catalog().datasets["digits"]
    for told in (
        f"{100 * point.accuracy:.2f} %",
        f"{point.bytes:,} bytes",
        f"{latency.p50:.3f} ms",
        "onnxruntime on cpu",
        f"{latency.threads} thread",
        digits["licence"],
        digits["source"],
        "`resnet8`",
        "`small [digits]`",
        "samples.npz holds images of the dataset",
    ):
        assert told in card
    assert json.loads((bundles[2] / "receipt.json").read_text()) == point.to_json()
    assert json.loads((bundles[2] / "environment.json").read_text())["processor"]
    assert (bundles[2] / "recipe.toml").read_text() == finished.recipe_text


def test_the_card_says_how_another_program_keeps_sums_whole(bundles: dict[int, Path]) -> None:
    found = {
        step: "session.x64quantprecision" in (folder / "MODEL_CARD.md").read_text() for step, folder in bundles.items()
    }
    assert found == {step: ROUNDS in (folder / "model.onnx").read_bytes() for step, folder in bundles.items()}
    assert set(found.values()) == {True, False}


def test_images_stay_here_when_asked(finished: Run, store: Workspace, alone: Path, tmp_path: Path) -> None:
    words = ["export", finished.id, "--out", str(tmp_path / "b"), "--no-images", "--workspace", str(store.path)]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 0
    assert {path.name for path in (tmp_path / "b").iterdir()} == EVERYTHING - {"samples.npz"}
    assert "samples.npz" not in (tmp_path / "b" / "MODEL_CARD.md").read_text()
    told = json.loads(run_alone(alone, tmp_path / "b" / "benchmark.py", "--seconds", "0.05"))
    assert "samples" not in told


def test_a_run_exports_from_torch_too(exported: Run) -> None:
    """Formats in a run: every file is told with its hash, every comparison as a note."""
    state = exported.state()
    assert [step.method for step in state.steps] == ["fine_tune", "torch_export", "safetensors"]
    assert not [note for note in state.steps[0].notes if not note.startswith("Measured on")]  # reused
    for step in state.steps[1:]:
        (note,) = step.notes
        assert "64 of 64 validation images" in note
    told = {artifact.path for artifact in state.artifacts}
    for name in ("step-1/model.pt2", "step-1/export.json", "step-2/model.safetensors", "step-2/model.json"):
        assert f"artifacts/{name}" in told
    parity = json.loads((exported.artifacts / "step-2" / "export.json").read_text())["parity"]
    assert parity["difference_from_torch"] == 0


@pytest.mark.slow
def test_in_a_new_environment(finished: Run, tmp_path: Path) -> None:
    """A virtual environment with onnxruntime, numpy and pillow from the package index."""
    write_bundle(finished, 2, tmp_path / "bundle")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    wanted = [
        f"{package.__name__ if package is not PIL else 'pillow'}=={package.__version__}"
        for package in (onnxruntime, np, PIL)
    ]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True, timeout=280)
    done = subprocess.run(
        [python, "benchmark.py", "--seconds", "0.2"], capture_output=True, text=True, cwd=tmp_path / "bundle"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"]["exact"] is True
