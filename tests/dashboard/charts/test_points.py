"""Every measured figure of every run stands in the table once; what was not measured is missing, not zero."""

from __future__ import annotations

import json
import math

import pandas as pd
from pydantic import JsonValue

from core.points import InRuntime, Latency, Point, Spread
from core.run_files.samples import samples
from core.runs import RunSummary, Status
from dashboard.charts.points import (
    COLUMNS,
    SPREAD,
    further_runtimes,
    info,
    restored,
    rows,
    seen_in,
    spread,
    target_spread,
)

LATENCY = Latency(runtime="onnxruntime", device="cpu", threads=2, batch=1, n=50, p50=0.5, p95=0.7, noisy=True)
FULL = Point(
    step=1,
    stage="prune",
    method="l2",
    name="resnet8 · L2",
    accuracy=0.8,
    accuracy_low=0.78,
    accuracy_high=0.81,
    validation_accuracy=0.79,
    bytes=1000,
    params=10,
    macs=20,
    latency_ms=LATENCY,
    accuracy_sd=0.02,
    seeds=3,
    target_accuracy=0.6,
    target_accuracy_low=0.5,
    target_accuracy_high=0.65,
    target_accuracy_mean=0.62,
    target_accuracy_sd=0.03,
)
BARE = Point(step=0, stage="transfer", method="linear_probe", name="teacher")


def run(**more: object) -> RunSummary:
    known = {"id": "660fbd37e5561-88c496", "name": "mine", "status": Status.FINISHED, "points": (BARE, FULL)}
    return RunSummary.model_validate({**known, **more})


def test_a_point_keeps_all_its_figures() -> None:
    row = info([run(dataset="d", target="t", backbone="b", tags=("x", "y"), created=1.0, finished=2.0)]).iloc[1]
    told = {
        "id": "660fbd37e5561-88c496:1",
        "run": "660fbd37e5561-88c496",
        "name": "resnet8 · L2",
        "run_name": "mine",
        "stage": "prune",
        "method": "l2",
        "dataset": "d",
        "backbone": "b",
        "accuracy": 0.8,
        "low": 0.78,
        "high": 0.81,
        "sd": 0.02,
        "validation": 0.79,
        "bytes": 1000,
        "params": 10,
        "macs": 20,
        "p50": 0.5,
        "p95": 0.7,
        "noisy": True,
        "runtime": "onnxruntime",
        "threads": 2,
        "batch": 1,
        "step": 1,
        "created": 1.0,
        "finished": 2.0,
        "control": False,
        "sample": False,
        "tags": ("x", "y"),
        "target": "t",
        "on_target": 0.62,
        "target_low": 0.59,
        "target_high": 0.65,
        "target_sd": 0.03,
    }
    assert {name: row[name] for name in told} == told


def test_how_right_answers_are_spread_is_told_where_it_was_measured() -> None:
    known = Spread(balanced_accuracy=0.7, macro_f1=0.6, worst_class="owl", worst_recall=0.2, top5_accuracy=0.9)
    receipt: dict[str, JsonValue] = {"calibration_error": 0.05, "same_answer_as_before": 0.97}
    row = info([run(points=(BARE, FULL.model_copy(update={"spread": known, "receipt": receipt})))]).iloc[1]
    assert [row[name] for name in SPREAD] == [0.6, 0.7, 0.2, 0.9, 0.05, 0.97]
    assert row["worst_class"] == "owl"
    old = info([run()]).iloc[1]
    assert all(math.isnan(old[name]) for name in SPREAD), "absent, not 0"
    assert old["worst_class"] == ""


def test_what_was_not_measured_is_missing() -> None:
    row = info([run()]).iloc[0]
    for name in (
        "on_target",
        "target_low",
        "target_high",
        "target_sd",
        "accuracy",
        "low",
        "high",
        "sd",
        "validation",
        "bytes",
        "params",
        "macs",
        "p50",
        "p95",
        "threads",
    ):
        assert math.isnan(row[name]), name
    assert not row["noisy"]
    assert row["runtime"] == ""


def test_a_control_has_its_name_in_its_id_and_is_told_apart() -> None:
    table = info([run(controls=(FULL.model_copy(update={"name": "twin, no teacher"}),))], sample=True)
    assert table["id"].tolist()[-1] == "660fbd37e5561-88c496:1:twin, no teacher"
    assert table["control"].tolist() == [False, False, True]
    assert table["sample"].all()


def test_no_runs_give_a_table_of_the_same_types() -> None:
    empty = info([])
    assert list(empty.columns) == list(COLUMNS)
    assert empty.dtypes.to_dict() == info(samples()).dtypes.to_dict()
    assert empty.empty


def test_ids_are_unique_over_all_samples() -> None:
    table = info(samples(), sample=True)
    assert table["id"].is_unique
    assert len(table) == sum(len(s.points) + len(s.controls) for s in samples())


def test_the_spread_is_that_of_the_seeds_else_half_the_interval() -> None:
    table = pd.DataFrame({"sd": [0.02, math.nan, math.nan], "low": [0.7, 0.7, math.nan], "high": [0.9, 0.9, math.nan]})
    table["accuracy"] = 0.8
    names = {"sd": "target_sd", "low": "target_low", "high": "target_high", "accuracy": "on_target"}
    there = table.rename(columns=names)
    for around in (spread(table), target_spread(there)):
        assert around.round(9).tolist()[:2] == [0.02, 0.1]
        assert math.isnan(around[2])


# further runtimes

THERE = InRuntime(
    version="1",
    precision="f32",
    by_default="bf16",
    accuracy=0.7,
    accuracy_low=0.68,
    accuracy_high=0.72,
    validation_accuracy=0.69,
    agreement=0.9,
    difference=0.1,
    latency_ms=LATENCY.model_copy(update={"runtime": "openvino", "p50": 0.25, "p95": 0.3, "noisy": False}),
)
BOTH = FULL.model_copy(update={"runtimes": {"openvino": THERE}, "receipt": {"calibration_error": 0.05}})


def test_a_further_runtime_replaces_what_depends_on_it_and_nothing_takes_its_place() -> None:
    own = info([run(points=(BARE, FULL), id="a"), run(points=(BOTH,), id="b")])
    assert further_runtimes(own) == ["openvino"]
    assert seen_in(own, "") is own
    seen = seen_in(own, "openvino")
    assert seen.dtypes.to_dict() == own.dtypes.to_dict()
    row = seen.iloc[2]
    told = {
        "accuracy": 0.7,
        "low": 0.68,
        "high": 0.72,
        "validation": 0.69,
        "p50": 0.25,
        "p95": 0.3,
        "noisy": False,
        "runtime": "openvino",
        "threads": 2,
        "bytes": 1000,
        "params": 10,
        "macs": 20,
        "asked": "openvino",
    }
    assert {name: row[name] for name in told} == told
    for name in ("on_target", "sd", "seeds", "calibration_error", "macro_f1"):
        assert math.isnan(row[name]), f"{name} was not measured there"
    for missing in (seen.iloc[0], seen.iloc[1]):
        assert missing["runtime"] == ""
        assert all(math.isnan(missing[name]) for name in ("accuracy", "low", "validation", "p50", "p95"))
    assert seen.iloc[1]["bytes"] == 1000, "the file is the same in any"


def test_rows_with_further_runtimes_survive_the_list_that_is_kept() -> None:
    kept = list(rows(run(points=(BOTH, FULL))))
    again = json.loads(json.dumps(kept), parse_constant=lambda name: math.nan)
    assert [restored(row) for row in again] == kept


def test_an_unknown_runtime_is_not_offered() -> None:
    latency = THERE.latency_ms.model_copy(update={"runtime": "<b>"})
    odd = BOTH.model_copy(update={"runtimes": {"<b>": THERE.model_copy(update={"latency_ms": latency})}})
    assert further_runtimes(info([run(points=(odd,))])) == []


def test_a_point_is_ranked_by_the_processor_it_was_measured_on() -> None:
    elsewhere = FULL.in_environment({"processor": "Slow CPU", "torch": "2.1"})
    table = info([run(points=(BARE, elsewhere), environment={"processor": "Fast CPU", "torch": "2.2"})])
    assert table["processor"].tolist() == ["Fast CPU", "Slow CPU"]
