"""What the pages say of a cluster: where new runs go, who is refused, where points were measured."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.cluster.nodes import FILE, Node, write_seen
from core.cluster.setting import cluster_of, set_cluster
from core.events import Measured, RunFinished, RunStarted
from core.files import write_atomic
from core.points import Latency, Point
from core.storage.sealed import read_sealed, seal
from core.text.escaping import UserText
from core.workspace import Workspace
from tests.dashboard.test_pages import DEMO, NASTY, language, shown, text, workspace

__all__ = ["language", "workspace"]
ADDRESS = "10.0.0.1:6379"
GOOD, OLD = Node("a", "vm (aaaaaa)", 8, 1, "Fast CPU"), Node("b", NASTY[0], 4, 0, "", f"torch 1.0 there {NASTY[1]}")


def measured(store: Workspace, processor: str, p50: float) -> None:
    """A run with one timed point, made on a node."""
    run = store.create_run(DEMO)
    latency = Latency(
        runtime="onnxruntime", device="CPU", threads=1, batch=1, n=50, p50=p50, p95=p50 * 1.1, noisy=False
    )
    where = {"node": f"vm {NASTY[0]}", "processor": processor}
    point = Point(
        step=0,
        stage="transfer",
        method="fine_tune",
        name="n",
        accuracy=0.9,
        accuracy_low=0.8,
        accuracy_high=0.95,
        validation_accuracy=0.9,
        bytes=1000,
        latency_ms=latency,
        receipt={"measured_on": {**where}},
    )
    run.emit(RunStarted(1, {"processor": "the last one", "device": "CPU", "threads": "1", "node": where["node"]}))
    run.emit(Measured("point", 0, point), RunFinished())


def test_live_says_where_new_runs_go_and_who_is_refused(workspace: Workspace, language: str) -> None:
    measured(workspace, "Fast CPU", 1.0)
    assert ADDRESS not in text(shown("live", language))
    set_cluster(workspace, ADDRESS)
    write_seen(workspace, ADDRESS, [GOOD, OLD])
    told = text(shown("live", language))
    assert UserText(ADDRESS).md() in told
    assert "8" in told
    assert "torch 1" in told
    assert "<img" not in told.replace("\\<", "")


def test_a_silent_cluster_is_told_and_left_by_a_button(workspace: Workspace, language: str) -> None:
    measured(workspace, "Fast CPU", 1.0)
    set_cluster(workspace, ADDRESS)
    write_seen(workspace, ADDRESS, (), "The cluster does not answer (Connection refused).")
    app = shown("live", language)
    assert any("Connection refused" in str(box.value) for box in app.warning)
    app.button(key="cluster_home").click().run()
    assert not app.exception
    assert cluster_of(workspace) == ""


def test_a_cluster_not_heard_from_is_told(workspace: Workspace) -> None:
    measured(workspace, "Fast CPU", 1.0)
    set_cluster(workspace, ADDRESS)
    write_seen(workspace, ADDRESS, [GOOD])
    path = workspace.path / FILE
    told = json.loads(read_sealed(path)) | {"time": time.time() - 100}
    told.pop("seal", None)
    write_atomic(path, seal(json.dumps(told).encode()))
    assert any("has not been heard from" in str(box.value) for box in shown("live", "en").warning)


@pytest.mark.thorough
def test_unlike_machines_are_named_on_trade_offs(workspace: Workspace, language: str) -> None:
    measured(workspace, "Fast CPU", 1.0)
    one = text(shown("tradeoffs", language, x="p50", samples="0"))
    measured(workspace, "Slow CPU", 3.0)
    two = text(shown("tradeoffs", language, x="p50", samples="0"))
    assert "Slow CPU" in two
    assert "Fast CPU" in two
    assert "Fast CPU" not in one, "of one kind nothing is to be said"
    assert "the last one" not in two, "a point's own processor counts, not that of the run's last start"


def test_the_receipt_names_the_node(workspace: Workspace, tmp_path: Path) -> None:
    measured(workspace, "Fast CPU", 1.0)
    run_id = workspace.run_ids()[0]
    app = shown("tradeoffs", "en", sel=f"{run_id}:0")
    tables = [str(table.value) for table in app.table]
    assert any("Fast CPU" in told and "Measured on" in told for told in tables), tables
