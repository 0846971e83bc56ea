"""A saved file in further runtimes: by fakes, which every machine has, and by OpenVINO where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from core.engine.context import CancelledError
from core.engine.export.graph import write_graph
from core.engine.measure import further_runtimes, runtime_child
from core.engine.measure.calibration import wilson_interval
from core.engine.measure.further_runtimes import Runtime, UnansweredError, installed, open_all, open_in
from core.engine.measure.latency import Timing, compared, time_files
from core.engine.measure.record import TIMINGS
from core.engine.measure.runtime import open_session, predict
from core.engine.method import Saved, build
from core.engine.model import Model
from core.engine.pipeline.measure_step import StepInfo, StepMeasurement
from core.engine.pipeline.run import run_recipe
from core.hardware.machine import bfloat16_units
from core.points import Point
from core.runs import Run
from core.workspace import Workspace
from tests.core.engine.conftest import MakeContext

FAKE = Path(__file__).with_name("fake_runtime_child.py")
ROOT = Path(__file__).parents[4]
SHAPE = (1, 8, 8)
CPU = torch.device("cpu")
RECIPE = """
name = "two runtimes"
dataset = "digits"
backbone = "resnet8"
image_size = 8

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1
"""


def fake(name: str) -> Runtime:
    return Runtime(name, "7", FAKE)


@pytest.fixture
def model(make_model: Callable[..., Model]) -> Model:
    return make_model(4)


@pytest.fixture
def path(model: Model, tmp_path: Path) -> Path:
    found = tmp_path / "model.onnx"
    write_graph(model, found)
    return found


@pytest.fixture
def point(model: Model, path: Path, make_context: MakeContext) -> Callable[..., Point]:
    """The point of the file, measured in these further runtimes too."""

    def measured(*names: str) -> Point:
        context = make_context()
        step_info = StepInfo(0, build("transfer", "fine_tune"), "transfer", "fine_tune", "net", path.parent)
        measurement = StepMeasurement(context, runtimes=tuple(map(fake, names)))
        found, _ = measurement.point(step_info, model, path, Saved(), None, None)
        return found

    return measured


@pytest.mark.thorough
def test_the_same_answers_are_the_same_figures(point: Callable[..., Point], path: Path) -> None:
    found = point("same")
    assert found.runtimes is not None
    there = found.runtimes["same"]
    assert (there.accuracy, there.validation_accuracy) == (found.accuracy, found.validation_accuracy)
    assert (there.accuracy_low, there.accuracy_high) == (found.accuracy_low, found.accuracy_high)
    assert there.agreement == 1.0
    assert there.difference < 1e-5
    assert (there.version, there.precision, there.by_default, there.layers) == ("7.1", "f32", "bf16", {"f32": 10})
    assert (there.latency_ms.runtime, there.latency_ms.device, there.latency_ms.threads) == ("same", "cpu", 1)
    with np.load(path.with_name(TIMINGS)) as stored:
        assert there.latency_ms.p50 == pytest.approx(float(np.median(stored["same"])))
        assert there.latency_ms.n == len(stored["same"]) == stored["same_turns"].sum()
    assert (there.times_faster is None) != (there.withheld is None)
    assert Point.model_validate_json(found.model_dump_json()) == found


@pytest.mark.thorough
def test_other_answers_are_counted_as_they_are(
    point: Callable[..., Point], path: Path, model: Model, make_context: MakeContext
) -> None:
    """Every logit negated: the least likely class is the answer."""
    found, test = point("negated"), make_context().data.test
    assert found.runtimes is not None
    there = found.runtimes["negated"]
    logits = predict(open_session(path), test.images, model.preprocessing)
    right = int((logits.argmin(1) == test.labels).sum())
    assert there.accuracy == right / len(test)
    assert (there.accuracy_low, there.accuracy_high) == wilson_interval(right, len(test))
    assert there.agreement == 0.0
    assert there.difference == pytest.approx(float(2 * logits.abs().max()), rel=0.2), "over validation as well"
    seen = found.seen_in("negated")
    assert (seen.accuracy, seen.latency_ms, seen.bytes) == (there.accuracy, there.latency_ms, found.bytes)
    assert seen.spread is None, "that of the other answers"
    assert found.seen_in("onnxruntime") == found.seen_in("") == found


@pytest.mark.thorough
def test_a_runtime_that_does_not_run_the_file_is_told(point: Callable[..., Point]) -> None:
    found = point("refusing", "same")
    notes = found.receipt["notes"]
    assert notes == ["Not measured in refusing: it does not run this file (no rule for MatMulNBits)."]
    assert set(found.runtimes or ()) == {"same"}
    assert found.seen_in("refusing").latency_ms is None, "never the figures of another runtime"
    assert found.seen_in("refusing").accuracy is None


def test_a_runtime_that_dies_takes_nothing_with_it(point: Callable[..., Point]) -> None:
    found = point("dying")
    assert found.runtimes is None
    assert "runtimes" not in found.to_json()
    assert found.latency_ms is not None
    assert found.receipt["notes"] == ["Not measured in dying: its process ended before it answered."]


def test_its_process_ends_with_the_measurement(path: Path) -> None:
    def cancelled() -> None:
        raise CancelledError

    with ExitStack() as stack:
        (file,), _ = open_all(stack, [fake("same")], path, 1, SHAPE, lambda: None)
        assert file.child.poll() is None
        with pytest.raises(CancelledError):
            replace(file, check=cancelled).turn(5.0)
    assert file.child.poll() is not None


def test_turns_elsewhere_are_those_of_the_child(path: Path) -> None:
    with open_in(fake("same"), path, 1, SHAPE) as file:
        found = time_files({"after": path}, 1, 0.1, elsewhere={"same": file})
    assert set(found) == {"after", "same"}
    assert len(found["same"].turns) == len(found["after"].turns)
    assert sum(found["same"].milliseconds) / 1000 == pytest.approx(found["same"].wall, rel=0.01)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(UnansweredError, match="does not run this file"),
        open_in(fake("same"), tmp_path / "gone.onnx", 1, SHAPE),
    ):
        raise AssertionError


def test_nothing_is_measured_further_where_nothing_is_installed(
    point: Callable[..., Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(further_runtimes, "find_spec", lambda name: None)
    assert installed(CPU) == ()
    monkeypatch.setattr(further_runtimes, "start_child", None)
    assert point().runtimes is None


def test_cuda_is_measured_where_a_run_uses_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(further_runtimes, "find_spec", lambda name: None)
    gpu = torch.device("cuda", 0)
    assert installed(gpu) == ()
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert [runtime.name for runtime in installed(gpu)] == ["onnxruntime-cuda"]
    assert installed(CPU) == ()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """An onnxruntime that has a GPU, as far as `providers` says so; the list holds how its sessions were opened."""
    asked: list[Any] = []
    real = onnxruntime.InferenceSession

    class Session:
        def __init__(self, path: str, options: Any, providers: Any) -> None:
            asked.append(providers)
            self.session = real(path, options, providers=["CPUExecutionProvider"])

        def __getattr__(self, name: str) -> Any:
            return getattr(self.session, name)

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider"] if "cudnn" in asked else ["CPUExecutionProvider"]

    names = {"InferenceSession": Session, "SessionOptions": onnxruntime.SessionOptions, "__version__": "1"}
    monkeypatch.setattr(runtime_child, "_library", lambda name: SimpleNamespace(**names))
    return asked


def test_on_a_gpu_no_tf32(path: Path, gpu: list[Any]) -> None:
    gpu.append("cudnn")
    found = runtime_child.open_cuda(str(path), 1, SHAPE)
    assert gpu[1][0] == ("CUDAExecutionProvider", {"use_tf32": "0"})
    assert (found.device, found.precision, found.by_default) == ("cuda", "f32", "tf32")
    assert found.run(np.zeros((1, *SHAPE), np.float32)).shape == (1, 10)


def test_a_gpu_that_silently_was_not_used_is_no_measurement(path: Path, gpu: list[Any]) -> None:
    with pytest.raises(runtime_child.RefusedError, match="could not use the GPU"):
        runtime_child.open_cuda(str(path), 1, SHAPE)


def test_the_noise_of_a_median_is_that_of_halves_of_its_turns() -> None:
    parts = ([1.0, 1.0, 5.0], [1.1, 1.1], [1.0], [1.1, 9.0, 1.1])
    flat = tuple(one for part in parts for one in part)
    timing = Timing(flat, 1.0, 1.0, 1, turns=tuple(map(len, parts)))
    halves = (median([*parts[0], *parts[2]]), median([*parts[1], *parts[3]]))
    assert timing.apart() == pytest.approx(halves[1] / halves[0] - 1)
    assert timing.latency().apart == timing.apart()
    assert replace(timing, turns=()).latency().apart is None
    assert not timing.latency().noisy
    assert replace(timing, device="cuda").latency().noisy, "10 % apart"
    assert not replace(timing, device="cuda", processor=0.1, turns=()).latency().noisy, "a GPU's work is no CPU time"


def test_a_ratio_is_withheld_in_noise_and_on_a_busy_machine() -> None:
    slow, fast = Timing((4.0,) * 9, 1.0, 1.0, 1), Timing((2.0,) * 9, 1.0, 1.0, 1)
    assert compared(slow, fast) == {"times_faster": 2.0}
    assert compared(slow, slow) == {"withheld": "noise"}
    assert compared(slow, replace(fast, wall=2.0)) == {"withheld": "busy"}


def artifacts(run: Run) -> dict[str, str]:
    files = (path for path in run.artifacts.rglob("*") if path.is_file() and path.name != TIMINGS)
    return {path.relative_to(run.folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.thorough
def test_a_runs_files_are_the_same_with_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(further_runtimes, "installed", lambda device: (fake("negated"),))
    for asked, names in (("none", ()), ("installed", ("negated",))):
        run = Workspace.open_or_create(tmp_path / asked).create_run(f'runtimes = "{asked}"\n{RECIPE}')
        run_recipe(run, os.getpid())
        points = run.state().points
        assert [set(point.runtimes or ()) for point in points] == [set(names)]
        found.append((artifacts(run), [(p.accuracy, p.validation_accuracy, p.bytes) for p in points]))
    assert found[0] == found[1]
    assert len(found[0][0]) == 4


# OpenVINO itself


@pytest.fixture
def openvino() -> Runtime:
    pytest.importorskip("openvino", reason="the extra is not installed")
    (found,) = installed(CPU)
    return found


def test_openvino_computes_in_float32_because_it_was_told(
    openvino: Runtime, path: Path, model: Model, make_context: MakeContext
) -> None:
    test = make_context().data.test
    with open_in(openvino, path, 1, SHAPE) as file:
        told, logits = file.told, file.logits(test, model.preprocessing, lambda done: None)
    assert (told["precision"], told["device"], told["version"]) == ("f32", "cpu", openvino.version)
    assert told["layers"] == {"f32": 10}
    if "bf16" in told["by_default"]:
        assert bfloat16_units(), "only where the processor has units for it"
    own = predict(open_session(path), test.images, model.preprocessing)
    assert float((logits - own).abs().max()) < 1e-4 * float(own.abs().max()), "bfloat16 would be 100 times further off"


def test_openvino_tells_the_layers_that_ran_in_integers(
    openvino: Runtime, path: Path, model: Model, make_context: MakeContext
) -> None:
    method = build("quantize", "static", calibration_images=32)
    context = replace(make_context(), source=path)
    method.save(method.apply(model, context), path.with_name("int8.onnx"), context)
    with open_in(openvino, path.with_name("int8.onnx"), 1, SHAPE) as file:
        assert {name for name in file.told["layers"] if name in ("i8", "u8")}


@pytest.mark.slow
def test_openvino_stays_out_of_the_runs_process(openvino: Runtime, path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path;"
        "from core.engine.measure.further_runtimes import installed, open_in;"
        "(found,) = installed(torch.device('cpu'));"
        f"context = open_in(found, Path({str(path)!r}), 1, {SHAPE});"
        "file = context.__enter__(); assert file.turn(0.01).milliseconds; context.__exit__(None, None, None);"
        "print('openvino' in sys.modules)"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert asked.stdout.strip() == "False"
