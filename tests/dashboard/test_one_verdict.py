"""One pair of points, one verdict: wherever their test accuracies are held against each other."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from core import terminal
from core.events import ArtifactSaved, Measured, RunFinished, RunStarted
from core.intervals import wilson
from core.points import Latency, Point
from core.runs import Run
from core.sides import Side
from core.workspace import Workspace
from dashboard.charts import points
from dashboard.i18n import speaking
from dashboard.inspect import sentence
from dashboard.inspect.choice import Choice
from dashboard.session import within
from dashboard.tradeoffs import chart, pairs, report
from tests.dashboard.test_pages import DEMO
from tests.dashboard.test_tradeoffs import drawn, page, said, workspace

__all__ = ["drawn", "workspace"]  # fixtures
IMAGES = 200
PROVEN = "a proven difference, tested on the same images"
OPEN = "no proven difference, tested on the same images"


def model(run: Run, step: int, lost: range, gained: range, bytes_: int) -> Point:
    """A model that is right on the first 160 images, but for those it `lost`, and on those it `gained`; with its
    answers beside it."""
    right = np.arange(IMAGES) < 160
    right[lost.start : lost.stop], right[gained.start : gained.stop] = False, True
    labels = np.arange(IMAGES) % 4
    folder = run.artifacts / f"step-{step}"
    folder.mkdir(parents=True)
    np.savez_compressed(
        folder / "predictions.npz", test_answers=np.where(right, labels, (labels + 1) % 4), test_labels=labels
    )
    (folder / "card.json").write_text('{"classes": ["a", "b", "c", "d"]}')
    for name in ("predictions.npz", "card.json"):
        data = (folder / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        run.emit(ArtifactSaved(step, f"artifacts/step-{step}/{name}", len(data), digest))
    share = float(right.mean())
    low, high = wilson(share, IMAGES)
    latency = Latency(runtime="onnxruntime", device="cpu", threads=1, batch=1, n=9, p50=1, p95=1.1, noisy=False)
    stage, method = (("transfer", "linear_probe"), ("prune", "l2"))[step]
    return Point(
        step=step, stage=stage, method=method, name=f"net of step {step}", accuracy=share, accuracy_low=low,
        accuracy_high=high, validation_accuracy=share, bytes=bytes_, latency_ms=latency,
        artifact=f"artifacts/step-{step}/model.onnx",
    )  # fmt: skip


@pytest.fixture(params=["proven", "open"])
def pair(request: pytest.FixtureRequest, workspace: Workspace) -> tuple[Run, str]:
    """A run whose second model is 6 points behind the first, and what a test on the same images says of that: it lost
    12 images and gained none, or lost 36 and gained 24. The intervals overlap in both."""
    run = workspace.create_run(DEMO)
    run.emit(RunStarted(1, {}))
    lost, gained = (range(12), range(0)) if request.param == "proven" else (range(36), range(160, 184))
    chain = [model(run, 0, range(0), range(0), 900_000), model(run, 1, lost, gained, 300_000)]
    run.emit(*(Measured("point", 0, one) for one in chain), RunFinished())
    return run, PROVEN if request.param == "proven" else OPEN


def test_every_place_says_the_same(pair: tuple[Run, str], workspace: Workspace, drawn: dict[str, Any]) -> None:
    run, verdict = pair
    base, other = f"{run.id}:0", f"{run.id}:1"
    told = said(page(sel=f"{base},{other}", base=base, mb="100"))
    card = f"−6.0 points of test accuracy ({verdict})"
    assert card in told
    assert f"its test accuracy is 6.0 points lower ({verdict})" in told, "the closing sentence"
    assert f"On the test images −6.0 points ({verdict})." in told, "what is cheaper within the bounds"
    assert re.search(rf"McNemar's test: p [<=] [\d.]+ \({verdict}\)", told), "class by class"
    cells = drawn[chart.TABLE].hide(axis="index").to_string(delimiter="\t").splitlines()[2].split("\t")
    assert "−6.0 ✗" in cells if verdict == PROVEN else "−6.0 ≈" in cells
    assert drawn[chart.TABLE].data["tested"].tolist() == ["", "same images"]
    with speaking("en"), within(workspace):
        table = points.info(workspace.runs()).assign(front=False)
        assert card in report.write(go.Figure(), table, table, chart.worded(table), dark=False)
        one, beside = (Side(run, point) for point in reversed(run.summary().points))
        assert sentence.change(Choice(run, one.point, beside)) == f"−6.0 points ({verdict})"
    assert f"6.0 points lower ({verdict})" in terminal.conclusion(run, run.summary())


def test_figures_of_a_further_runtime_are_not_judged_by_the_answers_of_another(
    pair: tuple[Run, str], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "workspace", lambda: workspace)
    table = points.info(workspace.runs())
    for rows, basis in ((table, "images"), (table.assign(asked="openvino"), "intervals")):
        found = pairs.deltas(rows, rows.iloc[0])["test"].iloc[1]
        assert (found.basis, found.share) == (basis, pytest.approx(-0.06))


def test_answers_are_read_of_what_is_shown_alone(
    workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch, pair: tuple[Run, str]
) -> None:
    """Neither opening the page nor a list of runs reads a single file of answers."""

    def never(*given: object) -> None:
        raise AssertionError("answers were read")

    monkeypatch.setattr(pairs, "right", never)
    assert "Pin a point" in said(page())
