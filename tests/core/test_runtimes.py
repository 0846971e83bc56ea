"""The figures of a further runtime in commands and files: shown where they were measured, and nowhere else."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from core.cli import main
from core.commands.terminal import points_table
from core.events import Measured, RunFinished, RunStarted
from core.points import InRuntime, Latency, Point
from core.run_files import run_table
from core.run_files.bundle import _measured
from core.runs import Run
from core.runtimes import title
from core.workspace import Workspace

RECIPE = """
dataset = "digits"
backbone = "resnet8"

[[steps]]
stage = "transfer"
method = "fine_tune"
"""
LATENCY = Latency(runtime="onnxruntime", device="cpu", threads=1, batch=1, n=40, p50=2.0, p95=3.0, noisy=False)
THERE = InRuntime(
    version="2026.4",
    precision="f32",
    by_default="bf16",
    accuracy=0.7,
    accuracy_low=0.68,
    accuracy_high=0.72,
    validation_accuracy=0.69,
    agreement=0.9,
    difference=0.1,
    latency_ms=LATENCY.model_copy(update={"runtime": "openvino", "p50": 0.5, "p95": 0.6}),
    times_faster=4.0,
)
OWN = Point(
    step=0,
    stage="transfer",
    method="fine_tune",
    name="net",
    accuracy=0.8,
    accuracy_low=0.78,
    accuracy_high=0.82,
    validation_accuracy=0.81,
    bytes=1000,
    params=10,
    macs=20,
    latency_ms=LATENCY,
)
BOTH = OWN.model_copy(update={"runtimes": {"openvino": THERE}})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Its first point was measured in OpenVINO too, its second was not."""
    found = Workspace.open_or_create(tmp_path).create_run(RECIPE)
    second = OWN.model_copy(update={"step": 1})
    found.emit(RunStarted(os.getpid(), {}), Measured("point", 0, BOTH), Measured("point", 0, second), RunFinished())
    return found


def drawn(run: Run, runtime: str = "") -> str:
    console = Console(markup=False, highlight=False, width=160, record=True, file=io.StringIO())
    console.print(points_table(run.summary(), runtime))
    return " ".join(console.export_text().split())


def test_a_point_is_stored_with_and_without_further_runtimes(run: Run) -> None:
    assert [point.runtimes for point in run.state().points] == [{"openvino": THERE}, None]
    assert "runtimes" not in OWN.to_json(), "what was not measured is absent"
    assert "apart" not in OWN.to_json()["latency_ms"]
    assert Point.model_validate_json(json.dumps(OWN.to_json())) == OWN


def test_figures_of_another_runtime_never_take_the_place_of_missing_ones() -> None:
    assert BOTH.seen_in("onnxruntime") == BOTH
    assert (BOTH.seen_in("openvino").middle, BOTH.seen_in("openvino").judged) == (0.7, 0.69)
    missing = OWN.seen_in("openvino")
    assert (missing.accuracy, missing.accuracy_low, missing.validation_accuracy, missing.latency_ms) == (None,) * 4
    assert (missing.bytes, missing.params, missing.macs) == (1000, 10, 20)


def test_the_mean_over_seeds_of_one_runtime_is_not_another_ones() -> None:
    several = BOTH.with_replicas([OWN.model_copy(update={"accuracy": 0.9})])
    assert several.middle == pytest.approx(0.85)
    assert several.seen_in("openvino").middle == 0.7
    assert several.seen_in("openvino").seeds is None


def test_the_table_names_the_runtime_and_the_others_there_are(run: Run) -> None:
    own = drawn(run)
    assert "latency: onnxruntime on cpu, 1 thread, batch 1" in own
    assert f"also measured in OpenVINO: condenser show {run.id} --runtime openvino" in own
    assert "80.0 ± 2.0 %" in own
    there = drawn(run, "openvino")
    assert "accuracy and latency: OpenVINO 2026.4, floats in f32 on cpu, 1 thread, batch 1" in there
    assert "70.0 ± 2.0 %" in there
    assert "80.0 ± 2.0 %" not in there
    assert "–: not measured in OpenVINO" in there


def test_the_command_shows_it_and_refuses_others(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--workspace", str(run.folder.parent.parent)]
    with pytest.raises(SystemExit) as ended:
        main(["show", run.id, "--runtime", "openvino", *where])
    assert ended.value.code == 0
    assert "70.0 ± 2.0 %" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["show", run.id, "--runtime", "tensorrt", *where])
    assert ended.value.code == 2
    assert "onnxruntime, openvino" in capsys.readouterr().err


def test_the_file_has_rows_of_their_own_for_it(run: Run) -> None:
    found = list(csv.DictReader(io.StringIO(run_table.to_csv(run).decode("utf-8-sig"))))
    rows = {(row["step"], row["figure"]): (row["value"], row["unit"]) for row in found if row["kind"] == "point"}
    assert rows["0", "latency_p50"] == ("2.0", "ms")
    assert rows["0", "openvino_latency_p50"] == ("0.5", "ms")
    assert rows["0", "openvino_accuracy"] == ("0.7", "share of 1")
    assert ("1", "openvino_accuracy") not in rows
    assert ("0", "openvino_bytes") not in rows, "the file is the same in any"


def test_a_model_card_tells_it() -> None:
    (line,) = (line for line in _measured(BOTH) if "OpenVINO" in line)
    assert line.startswith("in `OpenVINO 2026.4`, floats computed in `f32`: accuracy on the test split 70.00 % (95 %")
    assert "median 0.500 ms" in line
    assert not any("OpenVINO" in line for line in _measured(OWN))


def test_an_unknown_runtime_keeps_its_name() -> None:
    assert (title("openvino"), title("tensorrt")) == ("OpenVINO", "tensorrt")


def test_a_larger_file_is_not_shown_as_no_times_smaller(run: Run) -> None:
    larger = OWN.model_copy(update={"step": 1, "bytes": 2500})
    run.emit(Measured("point", 0, OWN.model_copy(update={"bytes": 1000})), Measured("point", 0, larger))
    assert "0.4×" in drawn(run)
    assert " 0×" not in drawn(run)
