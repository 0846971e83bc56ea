"""Every page in every state a workspace can be in: a sentence and a way on, never a traceback."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.events import (
    Event,
    Measured,
    Progress,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunPaused,
    RunStalled,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from core.points import Latency, Point
from core.runs import Notes, Run
from core.state import Status
from core.workspace import Workspace
from dashboard.addresses import address_of

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
DEMO = (APP.parents[1] / "assets" / "recipes" / "demo.toml").read_text(encoding="utf-8")
PAGES = ("home", "data", "backbones", "design", "live", "search", "tradeoffs", "inspect", "tryit", "learn", "glossary")
READING = ("glossary",)  # the same in every workspace, with nothing to begin
STAGES = ("transfer", "distill", "prune", "quantize")
NASTY = (
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![](http://example.org/x.png)",
    ":red[no] :smile:",
    "$\\href{http://example.org}{x}$",
    "%{x} **bold** `code`",
    "\u202eright to left",
    "a\u200bb",
    "= 1+1",
    "x" * 4000,
)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    return Workspace.open_or_create(tmp_path)


@pytest.fixture(params=("en", "zh"))
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shown(page: str, language: str = "en", **query: str) -> AppTest:
    """The page as a new visitor gets it; fails on an exception."""
    app = AppTest.from_file(str(APP), default_timeout=30)
    for name, value in {"lang": language, **query}.items():
        app.query_params[name] = value
    app.run()
    if page != "home":
        app.switch_page(f"app_pages/{page}.py")
        for name, value in {"lang": language, **query}.items():
            app.query_params[name] = value
        app.run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def address(page: str) -> str:
    """Where the page is: of the first one at the root."""
    return "" if page == "home" else address_of(page)


def text(app: AppTest) -> str:
    """What the page says, without its charts and tables."""
    kinds = ("markdown", "caption", "error", "warning", "info", "header", "subheader", "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


def primary(app: AppTest) -> list[str]:
    return [b.label for b in app.button if b.proto.type == "primary" and not b.disabled]


def point(step: int) -> Point:
    latency = Latency(runtime="onnxruntime", device="cpu", threads=1, batch=1, n=9, p50=1.0, p95=2.0, noisy=step == 1)
    figures: dict[str, Any] = {"accuracy": 0.8, "accuracy_low": 0.78, "accuracy_high": 0.82, "bytes": 10 ** (7 - step)}
    receipt: dict[str, Any] = {"no_gain": ["no gain in latency because"], "layers": {"touched": 1, "total": 2}}
    return Point(
        step=step,
        stage=STAGES[step],
        method=("linear_probe", "kd", "l2", "static")[step],
        name=f"net {step}",
        validation_accuracy=0.81,
        params=1000,
        macs=10_000,
        latency_ms=latency,
        receipt=receipt,
        **figures,
    )


def make(workspace: Workspace, *ending: Event, steps: int = 4, recipe: str = DEMO) -> Run:
    """A run that got through `steps` steps, told by its events."""
    run = workspace.create_run(recipe)
    run.emit(RunStarted(os.getpid(), {"device": "CPU", "threads": "2", "processor": "a processor"}))
    for step in range(steps):
        run.emit(StepStarted(step, STAGES[step], "kd", "a step", 2))
        run.emit(Progress(step, 0, "training", 1, 2, 0, 3, 0.5, 0.7, 0.6, 0.65, 100.0, 3.0))
        run.emit(Measured("point", 0, point(step)), StepFinished(step, 2.0))
    run.emit(*ending) if ending else None
    return run


def error(stage: str) -> RunFailed:
    given = {
        "code": "internal",
        "field": stage,
        "given": "x",
        "allowed": "y",
        "fix": "Do z.",
        "message": f"{stage} broke",
    }
    return RunFailed(given, "Traceback …")


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_has_one_thing_to_do(workspace: Workspace, page: str, language: str) -> None:
    app = shown(page, language)
    assert len(primary(app)) == (page not in READING)
    assert text(app)


ENDINGS: dict[str, tuple[Event, ...]] = {
    "running": (),
    "finished": (RunFinished(),),
    "cancelled": (RunCancelled(),),
    "paused": (RunPaused("asked"),),
    "stalled": (RunStalled(30.0),),
    "interrupted": (RunInterrupted("killed"),),
}
SHOWN = [
    pytest.param(
        page, ending, id=f"{name}-{page}", marks=() if page == "live" or name == "running" else pytest.mark.slow
    )
    for page in PAGES
    for name, ending in ENDINGS.items()
]


@pytest.mark.thorough
@pytest.mark.parametrize(("page", "ending"), SHOWN)
def test_every_page_shows_a_run_in_every_state(workspace: Workspace, page: str, ending: tuple[Event, ...]) -> None:
    run = make(workspace, Warned(0, "careful", "be careful"), *ending)
    app = shown(page, **({"run": run.id} if page == "live" else {}))
    if page == "live":
        assert str(run.state().status.value) in text(app)
        assert "be careful" in text(app)


@pytest.mark.thorough
def test_accuracy_on_a_target_is_shown_where_it_was_measured(workspace: Workspace) -> None:
    run = make(workspace, steps=1)
    assert "on the target" not in text(shown("live", run=run.id))
    there = {"target_accuracy": 0.66, "target_accuracy_low": 0.61, "target_accuracy_high": 0.71}
    run.emit(Measured("control", 0, point(0).model_copy(update={"name": "source only", **there})), RunFinished())
    app = shown("live", run=run.id)
    assert text(app).count("on the target: 66.0 ± 5.0 %") == 1
    assert any("Test accuracy on the target dataset" in table.value.to_string() for table in app.table)
    assert "目标集：66.0 ± 5.0 %" in text(shown("live", "zh", run=run.id))


@pytest.mark.thorough
@pytest.mark.parametrize("stage", range(4))
def test_a_run_that_fails_in_a_stage_says_why_and_how_to_go_on(workspace: Workspace, stage: int) -> None:
    run = make(workspace, StepStarted(stage, STAGES[stage], "x", "x", 3), error(STAGES[stage]), steps=stage)
    app = shown("live", run=run.id)
    assert f"{STAGES[stage]} broke" in text(app)
    assert "Resume" in primary(app)
    assert any("Traceback" in code.value for code in app.code), "details to copy"
    for page in PAGES:
        shown(page)


@pytest.mark.parametrize("given", ["../../etc", "0000000000000-ffffff", "%00", "x" * 5000, "a,b"])
def test_an_unknown_run_in_the_address_is_told(workspace: Workspace, given: str) -> None:
    make(workspace, RunFinished())
    app = shown("live", run=given)
    assert len(primary(app)) <= 1
    assert "etc" not in text(app) or "is not in this workspace" in text(app)


def test_a_deleted_run_is_told(workspace: Workspace) -> None:
    run = make(workspace, RunFinished())
    workspace.delete(run.id)
    app = shown("live", run=run.id)
    assert "Go home" in primary(app) or "Run the demo on Home" in primary(app)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", [" ".join(NASTY)[:4000], *NASTY[:2], *(pytest.param(one, marks=pytest.mark.slow) for one in NASTY[2:])]
)
def test_what_a_person_typed_is_shown_as_typed(workspace: Workspace, name: str) -> None:
    """No Markdown that is shown holds the raw text: every mark of it is escaped."""
    run = make(workspace, RunFinished())
    run.annotate(Notes(name=name, note=name, tags=(name[:50],)))
    for page in PAGES:
        app = shown(page, **({"run": run.id} if page == "live" else {}))
        for element in (*app.markdown, *app.caption, *app.warning, *app.error, *app.info):
            bare = re.sub(r"\\.", "", str(element.value))  # without what is escaped
            for dangerous in ("<img", "](javascript", "](http://example", ":red[no]", "$\\href", "$href", "**bold**"):
                assert dangerous not in bare, page


@pytest.mark.thorough
def test_a_broken_recipe_and_a_damaged_log_still_show(workspace: Workspace) -> None:
    run = make(workspace, RunFinished())
    (run.folder / "recipe.toml").write_text("not = = toml", encoding="utf-8")
    with run.events.open("ab") as events:
        events.write(b'{"crc":"00000000","event":"Nonsense"}\n')
    for page in PAGES:
        shown(page)
    app = shown("live", run=run.id)
    assert "1 line of this run's log damaged or missing." in text(app)
    assert "keeps the recipe it was launched with" in text(app)
    (run.folder / "notes.json").write_bytes(b"")
    run.events.unlink()
    app = shown("live", run=run.id)
    assert "This run's log is missing or empty." in text(app)
    assert "The name, tags and note of this run are damaged or missing." in text(app)
    run.result.write_bytes(run.result.read_bytes()[:-1])
    for page in PAGES:
        shown(page)
    assert "This run's summary is damaged." in text(shown("live", run=run.id))


@pytest.fixture
def locked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace that may not be written to; root is not stopped by permissions, so the question is answered."""
    make(workspace, RunFinished())
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **more: False if mode & os.W_OK else real(path, mode, **more))
    return workspace


@pytest.mark.parametrize("page", PAGES)
def test_a_read_only_workspace_is_shown_and_offers_nothing_that_writes(locked: Workspace, page: str) -> None:
    before = sorted(p for p in locked.path.rglob("*"))
    app = shown(page)
    assert "read-only" in text(app)
    assert not {"Run the demo", "Start", "Resume", "Cancel"} & set(primary(app))
    assert sorted(p for p in locked.path.rglob("*")) == before


def test_the_language_can_be_changed_and_stays(workspace: Workspace) -> None:
    app = shown("home", "zh")
    assert "运行演示" in [b.label for b in app.button]
    app.segmented_control(key="frame_language_zh").set_value("en").run()
    assert "Run the demo" in [b.label for b in app.button]
    app.switch_page("app_pages/live.py").run()
    assert "Run the demo on Home" in [b.label for b in app.button]


ADDRESS = ("lang", "run", "x", "sel", "from")


@pytest.mark.parametrize(
    "names", [ADDRESS, *(pytest.param((one,), marks=pytest.mark.slow) for one in ADDRESS)], ids=str
)
@pytest.mark.parametrize("page", PAGES)
def test_a_bad_query_parameter_is_a_default(workspace: Workspace, page: str, names: tuple[str, ...]) -> None:
    make(workspace, RunFinished())
    shown(page, **{"lang": "en", **dict.fromkeys(names, "\u0000<b>" + "y" * 300)})


def test_the_queue_is_moved_and_emptied(workspace: Workspace) -> None:
    running = make(workspace, steps=1)
    first, second, third = (workspace.submit(DEMO, name=name) for name in ("one", "two", "three"))
    app = shown("live", run=running.id)
    assert "Waiting: 3" in text(app)
    app.button(key=f"earlier_{third.id}").click().run()
    assert workspace.queued() == [first.id, third.id, second.id]
    app.button(key=f"drop_{first.id}").click().run()
    assert workspace.queued() == [third.id, second.id]
    assert first.state().status is Status.CANCELLED
    assert "Waiting: 2" in text(app)


def test_one_click_is_one_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A double click asks twice within a moment."""
    monkeypatch.setattr("dashboard.launch.ensure_supervisor", lambda workspace: None)
    app = shown("home")
    app.button(key="run_demo").click().run()
    assert len(workspace.run_ids()) == 1
    app.switch_page("app_pages/home.py").run()
    app.button(key="run_demo").click().run()
    assert not app.exception
    assert len(workspace.run_ids()) == 1
    assert workspace.queued() == workspace.run_ids()


@pytest.mark.thorough
def test_what_is_happening_is_told_with_the_runs_own_numbers(workspace: Workspace) -> None:
    alone = DEMO.replace("temperature = 2.0", "temperature = 2.0\ntwin = false")
    run = make(workspace, StepStarted(1, "distill", "kd", "x", 15), steps=1, recipe=alone)
    run.emit(Progress(1, 0, "training", 3, 15, 2, 40, 0.5, 0.7, None, None, 2000.0, 12.0))
    told = text(shown("live", run=run.id))
    assert "Temperature 2" in told
    assert "No-teacher control off" in told, "in words, not as a recipe writes it"
    assert "无教师对照 关" in text(shown("live", "zh", run=run.id))
    assert "Soft labels" in told
    run.emit(Progress(1, 0, "teacher", 0, 2, 512, 5000))
    assert "5,000 images its probabilities" in text(shown("live", run=run.id))


def test_what_a_run_warned_of_and_failed_by_is_told_in_the_pages_names(workspace: Workspace, language: str) -> None:
    """Of the demo: step 3 prunes, and its second step has a temperature."""
    warned = "steps.2: ratio = 0 removes nothing; the step only renews batch-norm statistics and trains."
    wrong = "steps.1.temperature: got 0; allowed: a number from 0.1 to 100. Set temperature to 1."
    found = {"code": "x", "field": "steps.1.temperature", "given": "0", "allowed": "y", "fix": "z", "message": wrong}
    run = make(workspace, Warned(None, "recipe", warned), RunFailed(found, ""))
    app = shown("live", language, run=run.id)
    told = "\n".join(str(element.value) for element in (*app.warning, *app.error))  # not the details
    assert "steps." not in told
    expected = {
        "en": ("step 3, Prune", "“Pruning ratio”", "step 2, Distill", "Set “Temperature” to 1"),
        "zh": ("第 3 步（剪枝）", "“剪枝率”", "第 2 步（蒸馏）", "将“温度”设为 1"),
    }
    for words in expected[language]:
        assert words in told.replace("\\", "").replace("\u2060", "")


def test_the_details_show_log_recipe_machine_and_files(workspace: Workspace) -> None:
    run = make(workspace, RunFinished())
    run.log.write_text("the worker's last words", encoding="utf-8")
    app = shown("live", run=run.id)
    assert "last words" not in text(app), "shut until it is asked for"
    told = AppTest.from_file(str(APP), default_timeout=30)
    told.session_state["details"] = True
    told.query_params["run"] = run.id
    told.run()
    told.switch_page("app_pages/live.py").run()
    assert not told.exception
