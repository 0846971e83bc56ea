"""The Live page as a story, the queue as a table, and the closing sentence where it is shown."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.controls import WITHOUT_TEACHER
from core.events import Measured, Progress, RunFailed, RunFinished, StepStarted
from core.processes.slots import set_slots
from core.recipe import stored_recipe
from core.run_files.eta import Plan
from core.runs import Run
from core.workspace import Workspace
from dashboard.live import stepper
from tests.dashboard.test_design import field
from tests.dashboard.test_pages import DEMO, error, make, point, shown, text


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    return Workspace.open_or_create(tmp_path)


def twin() -> Measured:
    lower = {
        "name": "twin without a teacher",
        "control": WITHOUT_TEACHER,
        "accuracy": 0.7,
        "accuracy_low": 0.68,
        "accuracy_high": 0.72,
    }
    return Measured("control", 0, point(1).model_copy(update=lower))


def bare(app: AppTest) -> str:
    """What a person reads: without escapes, and without the invisible joiners of `UserText`."""
    return text(app).replace("\\", "").replace("\u2060", "")


def live(run: Run, language: str = "en") -> str:
    return bare(shown("live", language, run=run.id))


def test_the_plan_is_told_in_the_recipes_own_names(workspace: Workspace) -> None:
    told = live(make(workspace, steps=1))
    assert "**efficientnet_lite0**, trained before on other images" in told
    assert "from 300 labelled images" in told
    assert "A small student, **resnet8**, learns from its teacher's answers" in told
    assert "What is happening?" in told
    assert "Not known yet: what the teacher was worth." in told


def test_what_happened_is_kept_at_the_end(workspace: Workspace) -> None:
    told = live(make(workspace, twin(), RunFinished()))
    assert "What happened?" in told
    assert "A small student, **resnet8**" in told
    assert "Not known yet" not in told


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("1000 times smaller", "accuracy is the same", "teacher was worth 10.0 points", "The one to deploy: ▲")),
        ("zh", ("体积缩小到 1/1000", "测试准确率相同", "教师使准确率提高了 10.0 个百分点", "建议部署：▲")),
    ],
)
def test_the_closing_sentence_is_on_live_home_and_tradeoffs(
    workspace: Workspace, language: str, words: tuple[str, ...]
) -> None:
    run = make(workspace, twin(), RunFinished())
    for page, query in (("live", {"run": run.id}), ("tradeoffs", {"sel": f"{run.id}:3"})):
        told = bare(shown(page, language, **query))
        for part in words:
            assert part in told, page
    home = bare(shown("home", language))
    assert all(part in home for part in words[:3])
    assert words[3] not in home, "the short form"


def test_so_far_while_it_goes_on(workspace: Workspace) -> None:
    told = live(make(workspace, StepStarted(3, "quantize", "static", "x", 0), steps=3))
    assert "So far: 100 times smaller" in told


def test_a_failed_run_says_what_it_still_came_to(workspace: Workspace) -> None:
    told = live(make(workspace, error("prune"), steps=2))
    assert "The run failed with 2 models measured. 10 times smaller" in told


def test_the_stepper_ticks_what_is_done(workspace: Workspace) -> None:
    run = make(workspace, StepStarted(1, "distill", "kd", "x", 15), steps=1)
    recipe = stored_recipe(run.recipe_text)
    links = list(stepper.chain(run.state(), recipe, time.time()))
    assert [(link.stage, link.standing) for link in links] == [
        ("transfer", "done"),
        ("distill", "now"),
        ("prune", "next"),
        ("quantize", "next"),
        ("control", "next"),
    ]
    assert links[0].seconds == 2.0
    assert "● **" not in stepper.words(links[0])
    told = live(run)
    assert "Transfer ✓ 0:02" in told
    assert "→ :orange[◆] **Distill … 0:0" in told
    done = [link.standing for link in stepper.chain(make(workspace, twin(), RunFinished()).state(), recipe, 0.0)]
    assert done == ["done"] * 5
    stopped = make(workspace, StepStarted(1, "distill", "kd", "x", 15), RunFailed({"message": "x"}), steps=1).state()
    assert [link.standing for link in stepper.chain(stopped, recipe, 0.0)][1] == "stopped"


def test_every_kind_of_work_moves_the_bar(workspace: Workspace) -> None:
    run = make(workspace, StepStarted(1, "distill", "kd", "x", 15), steps=1)
    seen = [stepper.share(run.state(), 5, None)]
    for what, epoch, batch in (
        ("teacher", 0, 100),
        ("training", 1, 0),
        ("training", 15, 0),
        ("exporting", 0, 1),
        ("measuring", 0, 10),
        ("measuring", 0, 90),
    ):
        run.emit(Progress(1, 0, what, epoch, 15 if what == "training" else 1, batch, 100))  # type: ignore[arg-type]
        seen.append(stepper.share(run.state(), 5, None))
    assert seen == sorted(set(seen)), "each is further than the one before"
    assert seen[0] >= 0.2
    assert seen[-1] < 0.4
    assert stepper.share(run.state(), 5, left=0.0) == 1.0, "of the time, where that is known"


def test_the_time_left_of_the_whole_is_said(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(workspace, StepStarted(1, "distill", "kd", "x", 15), steps=1)
    assert "the time left in all is not known yet" in progress(shown("live", run=run.id))
    plan = Plan({0: 2.0, 1: 60.0, 2: 30.0, 3: 5.0}, 25.0)
    monkeypatch.setattr("dashboard.live.estimate.planned", lambda run, recipe, state: plan)
    assert "about 2:00 left in all" in progress(shown("live", run=run.id)) or "about 1:59" in progress(
        shown("live", run=run.id)
    )


def progress(app: AppTest) -> str:
    return " ".join(str(found.proto.text) for found in app.get("progress"))


def test_a_busy_machine_is_said(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(workspace, steps=1)
    monkeypatch.setattr("dashboard.live.busy.share", lambda run: 0.88)
    assert "Other programs use about 90 % of this machine" in live(run)
    monkeypatch.setattr("dashboard.live.busy.share", lambda run: 0.2)
    assert "Other programs" not in live(run)


def test_a_variant_has_its_parent_behind_it(workspace: Workspace) -> None:
    make(workspace, RunFinished(), recipe=DEMO.replace("ratio = 0.5", "ratio = 0.7").replace("demo: few", "first: few"))
    make(workspace, RunFinished(), recipe=DEMO.replace("ratio = 0.5", "ratio = 0.6").replace("views = 2", "views = 3"))
    make(workspace, RunFinished(), recipe=DEMO.replace('dataset = "fashion-mini"', 'dataset = "digits"'))
    told = live(make(workspace, RunFinished()))
    assert "the earlier run most like this one (1 setting differs)" in told
    assert "faint: first: few" in told


@pytest.mark.thorough
def test_the_run_that_a_person_began_with_stands_behind_a_variant(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much was changed, and though another run is more like it; where it is gone, that other one."""
    monkeypatch.setattr("dashboard.launch.ensure_supervisor", lambda workspace: None)  # the run is made up below
    far, near = (DEMO.replace("ratio = 0.5", f"ratio = {ratio}") for ratio in (0.7, 0.6))
    begun_with = make(workspace, RunFinished(), recipe=far.replace("views = 2", "views = 3"))
    make(workspace, RunFinished(), recipe=near.replace("demo: few", "nearer: few"))
    app = shown("design", **{"from": begun_with.id})
    field(app, 2, "ratio", "slider").set_value(0.2).run()
    app.button(key="design_start").click().run()
    made = workspace.run(workspace.run_ids()[-1])
    assert made.parent == begun_with.id
    workspace.unqueue(made.id)
    for event in make(workspace, RunFinished()).read()[0][1:]:
        made.emit(event)
    told = live(made)
    assert "the run this one was made from" in told
    assert "nearer: few" not in told
    assert workspace.run(workspace.submit(made.recipe_text).id).parent == "", "by command it is nobody's variant"


def test_the_queue_is_a_table_that_folds(workspace: Workspace) -> None:
    make(workspace, steps=1)
    runs = [workspace.submit(DEMO, name=f"run {n}") for n in range(7)]
    app = shown("live", run=workspace.run_ids()[0])
    assert "Waiting: 7" in text(app)
    shown_rows = [b.key for b in app.button if (b.key or "").startswith("open_")]
    assert len(shown_rows) == 5
    assert "2 more" in [e.label for e in app.expander]
    app.button(key=f"next_{runs[4].id}").click().run()
    assert workspace.queued()[0] == runs[4].id
    assert app.button(key=f"next_{runs[4].id}").disabled, "it is the next already"


@pytest.mark.thorough
def test_when_a_waiting_run_will_begin(workspace: Workspace) -> None:
    set_slots(workspace, 2)
    make(workspace, RunFinished())
    for name in ("one", "two"):
        workspace.submit(DEMO, name=name)
    told = text(shown("live", run=workspace.run_ids()[0]))
    assert told.count("starts about") == 2, "as long as the same recipe took before"
    other = workspace.submit(DEMO.replace("ratio = 0.5", "ratio = 0.6"))
    workspace.submit(DEMO)
    workspace.reorder(other.id, 0)
    told = text(shown("live", run=workspace.run_ids()[0]))
    assert told.count("starts about") == 1
    assert told.count("start not known yet") == 3


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("cores", "threads", "told_en", "told_zh"),
    [
        (2, 1, "2 of 2 cores taken by 1 run at work. The next one needs 1 core and", "已占用 2/2 个核心"),
        (4, 3, "2 of 4 cores taken by 1 run at work. The next one needs 3 cores and", "下一个需要 3 个核心"),
        (4, 2, "2 of 4 cores taken by 1 run at work. There is room for the next one.", "有空位给下一个"),
    ],
)
def test_the_queue_says_how_many_cores_are_taken_and_what_the_next_one_waits_for(
    workspace: Workspace, cores: int, threads: int, told_en: str, told_zh: str
) -> None:
    set_slots(workspace, cores)
    run = make(workspace, StepStarted(1, "distill", "kd", "x", 15), steps=1)
    make(workspace, RunFinished())
    workspace.submit(DEMO.replace("threads = 2", f"threads = {threads}"))
    assert told_en in live(run)
    assert told_zh in live(run, "zh")


def test_a_control_made_beside_a_step_is_shown_beside_it(workspace: Workspace) -> None:
    beside = Progress(1, 0, "training", 2, 15, 0, 40, control="twin")
    run = make(workspace, StepStarted(1, "distill", "kd", "x", 15), beside, steps=1)
    links = list(stepper.chain(run.state(), stored_recipe(run.recipe_text), time.time()))
    assert [(link.stage, link.standing) for link in links if link.standing == "now"] == [
        ("distill", "now"),
        ("control", "now"),
    ]
    ended = make(workspace, StepStarted(1, "distill", "kd", "x", 15), beside, RunFailed({"message": "x"}), steps=1)
    standing = [link.standing for link in stepper.chain(ended.state(), stored_recipe(run.recipe_text), 0.0)]
    assert standing[1] == standing[-1] == "stopped"


def test_home_leads_two_ways_where_there_is_a_page_for_data(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard import frame

    app = shown("home")
    ways = [b.label for b in app.button]
    assert "Run the demo" in ways
    assert ("Use my own images" in ways) == ("data" in frame.PAGES)
