"""One pair of points, one ratio of their latencies: on every page, in files and in the terminal."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st

from core.commands import terminal
from core.events import Measured, RunFinished, RunStarted
from core.points import Latency, Point
from core.runs import Run
from core.workspace import Workspace
from dashboard import closing
from dashboard.charts import bounds, comparison, points, run_points
from dashboard.charts.bounds import Bounds
from dashboard.charts.front import Axes, info
from dashboard.i18n import speaking
from dashboard.session import within
from dashboard.tradeoffs import chart, report, selection
from tests.dashboard.test_pages import DEMO
from tests.dashboard.test_tradeoffs import drawn, page, said, workspace

__all__ = ["drawn", "workspace"]  # fixtures
HERE = {"processor": "Fast CPU", "onnxruntime": "1.23.0"}


def point(step: int, p50: float, size: int, receipt: dict[str, Any] | None = None, **timed: Any) -> Point:
    latency: dict[str, Any] = {
        "runtime": "onnxruntime",
        "device": "cpu",
        "threads": 1,
        "batch": 1,
        "n": 50,
        "p50": p50,
        "p95": 1.02 * p50,
        "noisy": False,
        "apart": 0.01,
    }
    stage, method = (("transfer", "linear_probe"), ("prune", "l2"))[step]
    return Point(
        step=step,
        stage=stage,
        method=method,
        name=f"net of step {step}",
        accuracy=0.8,
        accuracy_low=0.7,
        accuracy_high=0.9,
        validation_accuracy=0.8 - step / 100,
        bytes=size,
        latency_ms=Latency(**latency | timed),
        receipt=receipt or {},
    )


def made(store: Workspace, receipt: dict[str, Any] | None, here: dict[str, str] = HERE, **timed: Any) -> Run:
    """A run of two points whose medians are 4 ms and 1 ms."""
    run = store.create_run(DEMO)
    chain = point(0, 4.0, 900_000), point(1, 1.0, 300_000, receipt, **timed)
    run.emit(RunStarted(1, here), *(Measured("point", 0, one) for one in chain), RunFinished())
    return run


IN_TURNS = {
    "bytes_first": {"before": 900_000, "after": 300_000, "times_smaller": 3.0},
    "latency_first": {"ms": 2.5, "ms_now": 1.0, "speedup": 2.5, "low": 2.2, "high": 2.9},
}


def test_every_place_tells_the_ratio_of_timing_in_turns(
    workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(workspace, IN_TURNS)
    files: list[bytes] = []
    monkeypatch.setattr(
        st,
        "download_button",
        lambda label, data, *more, key, **words: files.append(data()) if key == "tradeoffs_csv" else None,
    )
    base, other = f"{run.id}:0", f"{run.id}:1"
    told = said(page(sel=f"{base},{other}", base=base, mb="100"))
    assert "latency × 0.4 (timed in turns: × 0.34 to 0.45 in the middle half of them)" in told
    assert "2.5 times faster" in told, "the closing sentence, and what is cheaper within the bounds"
    assert "4 times faster" not in told
    cells = drawn[chart.TABLE].hide(axis="index").to_string(delimiter="\t").splitlines()[2].split("\t")
    assert "−60.0 % ✓" in cells
    file = pd.read_csv(io.BytesIO(files[0])).set_index("id").loc[other]
    assert [file[f"times_faster{end}"] for end in ("", "_low", "_high")] == [2.5, 2.2, 2.9]
    assert (file["times_faster_is"], file["times_faster_by"]) == ("better", "turns")
    summary = run.summary()
    with speaking("en"), within(workspace):
        table = points.info([summary]).assign(front=False)
        written = report.write(go.Figure(), table, table, chart.worded(table), dark=False)
        assert "latency × 0.4 (timed in turns" in written
        assert "2.5 times faster" in closing.brief(closing.of(run, summary)).replace("\\", ""), "Home"
    assert "2.5 times faster" in terminal.conclusion(run, summary)


def test_a_ratio_withheld_in_turns_is_withheld_everywhere(workspace: Workspace) -> None:
    noise = {**IN_TURNS, "latency_first": {"ms": 2.5, "ms_now": 1.0, "withheld": "the difference is inside the noise"}}
    run = made(workspace, noise)
    table = points.info([run.summary()])
    first, last = (row for _, row in table.iterrows())
    assert comparison.delta(last, first).withheld == comparison.delta(first, last).withheld == "noise"
    found = comparison.deltas(table, first).iloc[1]
    assert (found["p50_is"], found["speed_by"]) == (comparison.OPEN, "noise")
    assert "speed withheld: the difference is within the noise" in terminal.conclusion(run, run.summary())
    other = bounds.cheaper(table.assign(bytes=1.0), Bounds(), str(first["id"]))
    assert other == [], "neither smaller nor faster"


def test_of_a_further_runtime_the_medians_are_compared(workspace: Workspace) -> None:
    table = points.info([made(workspace, IN_TURNS).summary()]).assign(asked="openvino")
    first, last = (row for _, row in table.iterrows())
    speed = comparison.delta(last, first).speed
    assert speed is not None
    assert (speed.times, speed.basis) == (4.0, "medians")


def test_across_runs_the_medians_are_compared_and_it_says_so(workspace: Workspace) -> None:
    one, other = made(workspace, IN_TURNS), made(workspace, IN_TURNS)
    table = points.info([one.summary(), other.summary()])
    found = comparison.delta(table.iloc[3], table.iloc[0])
    with speaking("en"):
        told = selection.gains(found)[-1]
    spread = "not in turns: × 0.25 to 0.26, given their noise"
    assert told == f"file × 0.33 · latency × 0.25 (by the medians of two timings, {spread})"


@pytest.mark.parametrize(
    ("here", "timed", "named"),
    [
        (HERE | {"onnxruntime": "1.22.0"}, {}, "the version of the runtime"),
        (HERE | {"processor": "Slow CPU"}, {}, "the processor"),
        (HERE, {"threads": 2}, "the number of threads"),
    ],
)
def test_what_was_timed_otherwise_is_neither_compared_nor_ranked(
    workspace: Workspace, here: dict[str, str], timed: dict[str, Any], named: str
) -> None:
    one, other = made(workspace, None), made(workspace, None, here, **timed)
    table = points.info([one.summary(), other.summary()])
    with speaking("en"):
        told = selection.gains(comparison.delta(table.iloc[3], table.iloc[0]))
        assert told[-1] == f"latencies are not compared: they were measured under different conditions ({named})"
        assert len(run_points.kinds(table.iloc[[0, 3]])) == 2
    ranked = info(table.iloc[[1, 3]], Axes(x="p50"))
    assert ranked["front"].tolist() == [True, True], "a front for each kind"


@pytest.mark.thorough
def test_trade_offs_says_in_what_latencies_differ(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    made(workspace, None)
    made(workspace, None, HERE | {"onnxruntime": "1.22.0"})
    files: list[str] = []
    monkeypatch.setattr(
        st,
        "download_button",
        lambda label, data, *more, key, **words: files.append(data()) if key == "tradeoffs_html" else None,
    )
    for view in ({"x": "p50"}, {"area": "p50"}, {"x": "bytes", "area": "bytes", "ms": "5"}):
        told = said(page(samples="0", **view))
        assert "differ in the version of the runtime" in told
        assert "onnxruntime 1.22.0; onnxruntime 1.23.0" in told
    assert ["onnxruntime 1.22.0; onnxruntime 1.23.0)" in file for file in files] == [True, True, False], (
        "areas of bytes"
    )


def test_every_row_of_the_file_has_its_verdict_or_why_not(
    workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(workspace, IN_TURNS)
    for _ in range(3):
        made(workspace, None)
    files: list[bytes] = []
    monkeypatch.setattr(chart, "MOST_COMPARED", 2)
    monkeypatch.setattr(
        st,
        "download_button",
        lambda label, data, *more, key, **words: files.append(data()) if key == "tradeoffs_csv" else None,
    )
    page(base=f"{run.id}:0", samples="0")
    file = pd.read_csv(io.BytesIO(files[0])).set_index("id")
    assert len(drawn[chart.TABLE].data) == 2
    assert len(file) == 8
    others = file.drop(f"{run.id}:0")
    assert set(others["delta_test_by"]) == {"intervals"}
    assert set(others["times_faster_by"]) == {"turns", "medians", "noise"}
    assert others["delta_test_is"].notna().all()
    assert list(file.loc[f"{run.id}:0", ["delta_test_by", "times_faster_by"]]) == ["baseline", "baseline"]
