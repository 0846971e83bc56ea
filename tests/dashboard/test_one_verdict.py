"""One pair of points, one verdict: wherever their test accuracies are held against each other."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import streamlit as st

from core.commands import terminal
from core.comparison.closing import closing
from core.comparison.paired import pairing
from core.controls import WITHOUT_TEACHER
from core.events import ArtifactSaved, Measured, RunFinished, RunStarted
from core.points import Latency, Point
from core.run_files.sides import Side
from core.runs import Run
from core.statistics.intervals import wilson
from core.workspace import Workspace
from dashboard import receipt
from dashboard.charts import comparison, points
from dashboard.i18n import speaking
from dashboard.inspect import sentence
from dashboard.inspect.choice import Choice
from dashboard.session import Language, within
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
        step=step,
        stage=stage,
        method=method,
        name=f"net of step {step}",
        accuracy=share,
        accuracy_low=low,
        accuracy_high=high,
        validation_accuracy=share,
        bytes=bytes_,
        latency_ms=latency,
        artifact=f"artifacts/step-{step}/model.onnx",
    )


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


@pytest.mark.thorough
def test_every_place_says_the_same(
    pair: tuple[Run, str], workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, verdict = pair
    whole = chart.for_file
    monkeypatch.setattr(chart, "for_file", lambda *given: drawn.update(for_file=whole(*given)) or whole(*given))
    monkeypatch.setattr(
        st, "download_button", lambda label, data, *more, key, **words: data() if key == "tradeoffs_csv" else None
    )
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
    file = drawn["for_file"].set_index("id").loc[other]
    assert (file["delta_test_is"], file["delta_test_by"]) == ("worse" if verdict == PROVEN else "open", "images")
    assert file["delta_test"] == pytest.approx(-0.06)
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


def seeded(workspace: Workspace) -> Run:
    """A teacher, its student and the student's twin over three seeds, whose gains are alike while the seeds are not."""
    run = workspace.create_run(DEMO)
    run.emit(RunStarted(1, {}))
    for seed, twin in enumerate((0.70, 0.74, 0.78)):
        shares = {"transfer": 0.9, "distill": twin + 0.05 + seed / 500, "control": twin}
        for kind, share in shares.items():
            step, stage = (0, "transfer") if kind == "transfer" else (1, "distill")
            control = WITHOUT_TEACHER if kind == "control" else None
            point = Point(
                step=step,
                stage=stage,
                method="kd",
                name=control or f"net of step {step}",
                control=control,
                accuracy=share,
                accuracy_low=share - 0.03,
                accuracy_high=share + 0.03,
                bytes=1000,
            )
            run.emit(Measured("control" if control else "replica" if seed else "point", seed, point))
    run.emit(RunFinished())
    return run


def test_a_student_and_its_twin_are_compared_seed_by_seed_everywhere(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their means lie within the spread over the seeds; the gains, seed by seed, do not."""
    run = seeded(workspace)
    monkeypatch.setattr(pairs, "workspace", lambda: workspace)
    rows = {row["id"]: row for _, row in points.info(workspace.runs()).iterrows()}
    student, twin = rows[f"{run.id}:1"], rows[f"{run.id}:1:{WITHOUT_TEACHER}"]
    found, back = pairs.delta(student, twin).test, pairs.delta(twin, student).test
    assert found is not None
    assert back is not None
    assert (found.basis, found.proven, back.proven, back.share) == ("seeds", True, True, -found.share)
    summary = run.summary()
    (worth,) = closing(summary.points, summary.controls, summary.status, pairing(run)).worths
    assert worth.test == found
    apart = comparison.on_test(student, twin)
    assert apart is not None
    assert not apart.proven, "what the means alone would say"


@pytest.mark.parametrize(
    ("language", "told"),
    [("en", "the teacher's lead of 1.2 points is within chance"), ("zh", "教师领先 1.2 个百分点，可能只是偶然")],
)
def test_a_receipt_tells_no_share_of_a_lead_that_may_be_chance(language: Language, told: str) -> None:
    numbers = {"teacher": 0.712, "twin": 0.7, "distilled": 0.72, "gain": 0.02, "lead": 0.012, "seeds": 1}
    verdicts = {"gain_proven": True, "gain_basis": "images", "lead_proven": False, "lead_basis": "images"}
    with speaking(language):
        ((_, text),) = receipt.taught({"gap_recovered": numbers | verdicts})
        assert text.startswith(told)
        assert all(number in text for number in ("70.0 %", "71.2 %", "72.0 %")), "the numbers stay"
        assert "167 %" not in text
        proven = numbers | verdicts | {"lead_proven": True, "share": 1.67}
        ((_, text),) = receipt.taught({"gap_recovered": proven})
        assert "167 %" in text
        ((_, text),) = receipt.taught({"gap_recovered": numbers | {"share": 1.67}})
        assert "167 %" not in text, "a share that nobody judged"
