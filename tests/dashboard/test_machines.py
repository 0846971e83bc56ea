"""Pages say on which machine each point of a run was measured, also of one that was resumed elsewhere."""

from __future__ import annotations

import pytest
import streamlit as st

from core.events import Measured, RunFinished, RunInterrupted, RunStarted
from core.points import Latency, Point
from core.runs import Run
from core.workspace import Workspace
from dashboard import machines, receipt
from dashboard.charts import points
from dashboard.i18n import speaking
from dashboard.live import details
from dashboard.session import Language
from dashboard.tradeoffs import report
from tests.dashboard.test_pages import DEMO, NASTY, language, shown, text, workspace

__all__ = ["language", "workspace"]
SLOW = {"processor": f"Slow {NASTY[0]}", "torch": "2.1", "device": "CPU", "threads": "1"}
FAST = {"processor": "Fast CPU", "torch": "2.2", "device": "CPU", "threads": "1"}


def point(step: int, p50: float) -> Point:
    latency = Latency(
        runtime="onnxruntime", device="cpu", threads=1, batch=1, n=50, p50=p50, p95=1.01 * p50, noisy=False
    )
    return Point(
        step=step,
        stage=("transfer", "distill")[step],
        method=("fine_tune", "kd")[step],
        name=f"n{step}",
        accuracy=0.9,
        accuracy_low=0.8,
        accuracy_high=0.95,
        validation_accuracy=0.9,
        bytes=1000,
        latency_ms=latency,
    )


def moved(store: Workspace) -> Run:
    """A run whose second step was measured on another machine than its first."""
    run = store.create_run(DEMO)
    run.emit(RunStarted(1, SLOW), Measured("point", 0, point(0, 4.0)), RunInterrupted("off"))
    run.emit(RunStarted(2, FAST), Measured("point", 0, point(1, 1.0)), RunFinished())
    return run


def test_live_says_it_of_the_areas_and_on_each_receipt(workspace: Workspace, language: str) -> None:
    run = moved(workspace)
    app = shown("live", language, run=run.id)
    told = text(app)
    assert "Fast CPU" in told
    assert "<img" not in told.replace("\\<", "")
    cells = [" ".join(map(str, table.value.to_numpy().ravel())) for table in app.table]
    assert sum("Slow" in cell and "torch 2\\.1" in cell for cell in cells) == 1, "the receipt of the first point"
    assert sum("Fast CPU" in cell for cell in cells) == 1


def test_the_receipt_names_what_was_not_as_at_the_last_start(workspace: Workspace) -> None:
    summary = moved(workspace).summary()
    with speaking("en"):
        first, second = (dict(receipt.measured_on(one, summary.environment)) for one in summary.points)
    assert first["Unlike the last start of its run"] == "torch 2\\.1"
    assert second == {"Measured on": "Fast CPU"}


def test_details_say_where_an_earlier_version_did_not_keep_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary, told = moved(workspace).summary(), list[str]()
    monkeypatch.setattr(st, "caption", told.append)
    spoken: tuple[tuple[Language, str], ...] = (("en", "by an earlier version"), ("zh", "较早的版本"))
    for tongue, words in spoken:
        for known in (True, False):
            told.clear()
            with speaking(tongue):
                details._environment(summary.model_copy(update={"environments_known": known}))
            assert any(words in line for line in told) is not known


@pytest.mark.thorough
def test_a_bound_on_latency_says_that_it_mixes_machines(workspace: Workspace, language: str) -> None:
    moved(workspace)
    for bound, told in (({"ms": "5"}, True), ({"mb": "5"}, False)):
        page = text(shown("tradeoffs", language, x="bytes", area="bytes", samples="0", **bound))
        assert ("Fast CPU" in page) is told


def test_the_report_has_each_environment_below_its_points(workspace: Workspace) -> None:
    table = points.info([moved(workspace).summary()])
    with speaking("en"):
        page = " ".join(report.machines(table))
    assert page.count("<table>") == 2
    assert "&lt;img" in page
    assert page.index("2.1") < page.index("Fast CPU")


def test_of_one_kind_of_machine_nothing_is_said() -> None:
    with speaking("en"):
        assert machines.told("area", ["Fast CPU"]) == ""
        assert "an unknown one" in machines.told("area", ["Fast CPU", ""])
