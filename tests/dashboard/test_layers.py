"""Sensitivity on the Live page: asked with one click, drawn as rows come, stopped, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import JsonValue
from streamlit.testing.v1 import AppTest

from core.errors import UserError
from core.events import RunFinished
from core.jobs import Job
from core.questions.sensitivity import LIMIT, Row
from core.runs import Run
from core.workspace import Workspace
from dashboard.charts import sensitivity as chart
from tests.dashboard.test_pages import APP, make, text

ROWS: list[JsonValue] = [
    {"layer": layer, "value": value, "validation_accuracy": share}
    for layer, shares in {"stem": (0.9, 0.9, 0.3), "body.0": (0.9, 0.85, 0.8)}.items()
    for value, share in zip((32, 4, 2), shares, strict=True)
]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("dashboard.live.sensitivity.ensure_supervisor", lambda workspace: None)
    return Workspace.open_or_create(tmp_path)


def opened(run: Run, language: str = "en") -> AppTest:
    """The Live page with its details open."""
    app = AppTest.from_file(str(APP), default_timeout=30)
    app.session_state["details"] = True
    app.query_params["lang"] = language
    app.run()
    app.switch_page("app_pages/live.py")
    app.query_params["run"], app.query_params["lang"] = run.id, language
    app.run()
    assert not app.exception
    return app


def asked(app: AppTest, workspace: Workspace) -> Job:
    app.button(key="sensitivity_start").click().run()
    assert not app.exception
    (name,) = workspace.job_ids()
    return workspace.job(name)


@pytest.mark.thorough
@pytest.mark.parametrize(("language", "what"), [("en", "bits"), ("zh", "ratio")])
def test_one_click_asks_and_rows_are_drawn_as_they_come(workspace: Workspace, language: str, what: str) -> None:
    run = make(workspace, RunFinished())
    app = opened(run, language)
    if what != "ratio":
        app.segmented_control(key=f"sensitivity_what_{run.id}").set_value(what).run()
    job = asked(app, workspace)
    assert job.kind == "sensitivity"
    assert job.request == {"run": run.id, "step": 2, "what": what, "limit": LIMIT}, "int8 has no network of its own"
    assert app.button(key="sensitivity_start").disabled, "one question at a time"
    job.tell(1, 2, what)
    job.show({"rows": ROWS[:3], "images": 240})
    app.run()
    assert not app.exception
    assert "240" in text(app)
    assert len(app.session_state[f"kept:sensitivity.{run.id}"].found) == 3
    job.answer({"rows": ROWS, "images": 240, "cached": False})
    app.run()
    assert not app.exception
    kept = app.session_state[f"kept:sensitivity.{run.id}"]
    assert (len(kept.found), kept.over, kept.error) == (6, True, None)
    assert not app.button(key="sensitivity_start").disabled


@pytest.mark.thorough
def test_it_can_be_stopped_and_what_came_stays(workspace: Workspace) -> None:
    run = make(workspace, RunFinished())
    app = opened(run)
    job = asked(app, workspace)
    job.show({"rows": ROWS[:3], "images": 240})
    app.run()
    app.button(key="sensitivity_stop").click().run()
    assert job.cancel_requested()
    job.fail(UserError("cancelled", "job", job.id, "a job that runs to its end", "Ask again."))
    app.run()
    assert not app.exception
    assert "ask again to continue from there" in text(app)
    assert len(app.session_state[f"kept:sensitivity.{run.id}"].found) == 3


def test_a_refusal_is_told(workspace: Workspace) -> None:
    run = make(workspace, RunFinished())
    app = opened(run)
    asked(app, workspace).fail(UserError("missing_artifact", "step", "2", "a step that is there", "Run it [again](x)."))
    app.run()
    assert not app.exception
    assert any("missing" in str(e.value) or "a step that is there" in str(e.value) for e in app.error)
    assert not app.button(key="sensitivity_start").disabled


@pytest.mark.parametrize(("ending", "steps"), [((), 2), ((RunFinished(),), 0)])
def test_there_is_nothing_to_ask_yet(workspace: Workspace, ending: tuple[Any, ...], steps: int) -> None:
    app = opened(make(workspace, *ending, steps=steps))
    assert "sensitivity_start" not in [button.key for button in app.button]
    assert "once the run is over" in text(app)


def test_the_chart_holds_every_row() -> None:
    table = chart.info(Row.model_validate(row) for row in ROWS)
    assert table["lost"].tolist() == pytest.approx([0, 0, 0.6, 0, 0.05, 0.1])
    assert chart.weakest(table) == "stem"
    for dark in (False, True):
        (trace,) = chart.figure(table, chart.Labels("bits", "%{text}"), dark=dark).data
        assert list(trace.x) == ["32", "4", "2"]
        assert list(trace.y) == ["stem", "body.0"]
        assert [list(row) for row in trace.text] == [["90.0", "90.0", "30.0"], ["90.0", "85.0", "80.0"]]


def test_the_chart_is_there_without_rows() -> None:
    table = chart.info([])
    assert isinstance(table, pd.DataFrame)
    assert chart.weakest(table) == ""
    assert len(chart.figure(table, chart.Labels("bits", "%{text}")).data) == 1
