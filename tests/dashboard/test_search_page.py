"""The Search page tells what was found and why, and what can be done with it; Design asks for a search or a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import load_catalog
from core.events import RunFinished
from core.search import store
from core.search.answer import answer
from core.search.bounds import Bounds
from core.search.space import Vary
from core.search.specification import Specification, search, sweep
from core.search.store import Search
from core.search.trial import Progress, Trial
from core.workspace import Workspace
from dashboard import launch
from dashboard.charts import search as charts
from dashboard.design import varying
from dashboard.design.varying import Wish
from tests.core.search.planted import TEACHER, VARY, figures, recipe
from tests.dashboard.test_pages import make, shown, text

CATALOG = load_catalog()
BOUNDS = Bounds(bytes=100_000, latency=1.6)
SETTINGS = ((0.5, 8, 9.0, 0.1), (0.6, 4, 4.0, 0.03), (0.2, 8, 4.0, 0.03), (0.8, 4, 4.0, 0.03), (0.6, 2, 2.0, 0.3))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    return Workspace.open_or_create(tmp_path)


@pytest.fixture(autouse=True)
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No process is started by a page here; which searches were to be worked on."""
    begun: list[str] = []
    for module in ("dashboard.design.varying", "dashboard.search.actions"):
        monkeypatch.setattr(f"{module}.ensure_supervisor", lambda workspace: None)
        monkeypatch.setattr(f"{module}.start_driver", lambda workspace, search: begun.append(search.id))
    return begun


def asked() -> Specification:
    return search(recipe(), VARY, CATALOG, BOUNDS)


def tried(given: Specification) -> tuple[Trial, ...]:
    """Trials as the planted problem has them, and one that failed."""
    made = []
    for number, setting in enumerate(SETTINGS):
        accuracy, size, latency = figures(*setting)
        planted = dict(zip((text.partition("=")[0] for text in VARY), setting, strict=True))
        values = {vary.path: planted[vary.path] for vary in given.vary}
        made.append(
            Trial(
                number=number,
                run=f"{number:013x}-000000",
                values=values,
                state="finished",
                accuracy=accuracy,
                bytes=size,
                latency=latency,
                teacher=TEACHER,
                step=3,
            )
        )
    failed = Trial(number=5, run="5" * 13 + "-000000", values=made[0].values, state="failed", why="<b>no memory</b>")
    return (*made, failed)


def stored(workspace: Workspace, given: Specification, **more: object) -> Search:
    made = store.create(workspace, given)
    shares = {"accuracy": {"steps.2.ratio": 0.7, "steps.3.bits": 0.3}, "bytes": {"steps.3.bits": 1.0}}
    told = {"status": "finished", "cause": "trials", "trials": tried(given), "importance": shares, **more}
    made.write(Progress.model_validate(told))
    return made


def click(app: AppTest, key: str) -> AppTest:
    app.button(key).click().run()
    assert not app.exception, [e.value for e in app.exception]
    return app


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_finished_search_says_what_to_take_and_why(workspace: Workspace, language: str) -> None:
    made = stored(workspace, asked())
    app = shown("search", language, search=made.id)
    told = text(app)
    found = answer(made.progress().trials, BOUNDS, TEACHER)
    assert found.recommended is not None
    assert found.recommended.number == 1
    assert ("Take trial 2" if language == "en" else "采用第 2 次试验") in told
    assert ("The bound on latency binds" in told or "The bound on bytes binds" in told) is (language == "en")
    assert "Temperature" in told or "温度" in told
    assert "<b>" not in told.replace("\\<b\\>", "")
    assert {b.key for b in app.button} >= {"search_apply", "search_confirm"}


@pytest.mark.parametrize(
    "status", ["checking", "running", "resting", "refused", "cancelled", "failed"], ids=lambda status: str(status)
)
def test_every_state_has_its_words_and_its_button(workspace: Workspace, status: str) -> None:
    wrong = {"code": "out_of_reach", "field": "--max-bytes", "given": "1 kB", "allowed": "about 18 kB", "fix": "More."}
    made = stored(workspace, asked(), status=status, cause="", error=wrong if status in ("refused", "failed") else None)
    keys = {button.key for button in shown("search", search=made.id).button}
    assert ("search_cancel" in keys) is (status in ("checking", "running", "resting"))
    assert ("search_go_on" in keys) is (status in ("cancelled", "failed"))


def test_a_sweep_is_a_curve_over_one_knob_and_a_map_over_two(workspace: Workspace) -> None:
    for axes in (VARY[:1], VARY[:2]):
        given = sweep(recipe(), axes, CATALOG, points=3)
        made = stored(workspace, given)
        app = shown("search", search=made.id)
        assert "Take trial" not in text(app)
        assert "Validation accuracy over the grid" in text(app)


def test_what_it_found_is_applied_to_design(workspace: Workspace) -> None:
    made = stored(workspace, asked())
    app = click(shown("search", search=made.id), "search_apply")
    ratios = [field.value for field in (*app.slider, *app.number_input) if field.label.startswith("Pruning ratio")]
    assert ratios == [0.6]


@pytest.mark.thorough
def test_it_is_confirmed_once_with_three_seeds_on_the_test_images(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stored(workspace, asked())
    app = click(shown("search", search=made.id), "search_confirm")
    (run_id,) = workspace.queued()
    confirming = workspace.run(run_id).recipe()
    assert confirming.seeds == 3
    assert confirming.steps[2].options["ratio"] == 0.6
    assert made.confirmed() == {1: run_id}
    assert app.button("search_confirm").disabled
    assert "Trial 2 is being confirmed" in text(app)
    done = make(workspace, RunFinished())
    made.confirm(1, done.id)
    assert "Trial 2 on the test images: 80.0 ± 2.0 %" in text(shown("search", search=made.id))


@pytest.mark.thorough
def test_a_cancelled_search_goes_on_and_a_going_one_is_cancelled(workspace: Workspace, nobody_works: list[str]) -> None:
    made = stored(workspace, asked(), status="cancelled")
    click(shown("search", search=made.id), "search_go_on")
    assert nobody_works == [made.id]
    assert made.progress().status == "running"
    click(shown("search", search=made.id), "search_cancel")
    assert made.progress().status == "cancelled"


def test_an_unknown_or_damaged_search_is_named(workspace: Workspace) -> None:
    made = stored(workspace, asked())
    assert "nonsense" in text(shown("search", search="nonsense"))
    (made.folder / "search.json").write_bytes(b'{"seal":"00"}')
    shown("search", search=made.id)


# Design


def design(workspace: Workspace, *paths: str) -> AppTest:
    app = shown("design")
    if paths:
        app.multiselect("vary_knobs").set_value(list(paths)).run()
        assert not app.exception, [e.value for e in app.exception]
    return app


def test_every_knob_that_can_vary_is_offered_with_a_range_that_is_allowed(workspace: Workspace) -> None:
    offered = varying.choosable(recipe(), CATALOG)
    assert {"steps.2.ratio", "steps.3.bits", "steps.1.method", "steps.1.student", "labels"} <= set(offered)
    for path, option in offered.items():
        if isinstance(option, tuple) or option.type not in ("int", "float") or option.choices:
            continue
        vary = varying.around(path, option, option.default)
        assert option.check(vary.told(vary.low)) != option.check(vary.told(vary.high)), path


@pytest.mark.thorough
def test_find_the_best_begins_a_search_of_what_is_set(workspace: Workspace, nobody_works: list[str]) -> None:
    app = design(workspace, "steps.2.ratio", "steps.1.temperature")
    app.number_input("vary_bytes").set_value(60.0).run()
    app.number_input("vary_steps.2.ratio_low").set_value(0.2).run()
    click(app, "vary_find")
    (made,) = store.searches(workspace)
    given = made.specification()
    assert nobody_works == [made.id]
    assert given.bounds == Bounds(bytes=60_000, drop=1.0)
    assert given.vary[0] == Vary("steps.2.ratio", 0.2, 0.95)
    assert given.vary[1].path == "steps.1.temperature"
    assert (given.trials, given.minutes) == (40, 30.0)


@pytest.mark.thorough
def test_a_sweep_begins_over_two_knobs_and_three_are_too_many(workspace: Workspace) -> None:
    app = design(workspace, "steps.2.ratio", "steps.1.temperature")
    click(app, "vary_sweep")
    (made,) = store.searches(workspace)
    assert made.specification().is_sweep
    assert made.specification().trials == 25
    assert design(workspace, "steps.2.ratio", "steps.1.temperature", "steps.1.weight").button("vary_sweep").disabled


@pytest.mark.thorough
def test_a_range_outside_of_its_bounds_is_told_on_the_page(workspace: Workspace) -> None:
    app = design(workspace, "steps.2.ratio")
    app.number_input("vary_steps.2.ratio_high").set_value(7.0).run()
    click(app, "vary_find")
    assert store.searches(workspace) == []
    assert any("0.95" in str(error.value) for error in app.error)


def test_nothing_begins_before_a_knob_is_chosen(workspace: Workspace) -> None:
    app = design(workspace)
    assert app.button("vary_find").disabled
    assert app.button("vary_sweep").disabled


def test_the_wish_of_fields_is_the_one_of_a_command_line() -> None:
    wish = Wish(
        paths=("steps.3.bits",), ranges=(("steps.3.bits", Vary("steps.3.bits", choices=(4, 8))),), kilobytes=60.0
    )
    given = varying.specified(wish, recipe(), CATALOG, grid=False)
    assert given == search(recipe(), ("steps.3.bits=4,8",), CATALOG, Bounds(60_000, None, 1.0), trials=40, minutes=30.0)
    assert launch.demo_text()


def test_pruner_and_slots_of_the_fields_are_those_of_a_command_line() -> None:
    ranges = (("steps.1.temperature", Vary("steps.1.temperature", 1.0, 20.0)),)
    wish = Wish(paths=("steps.1.temperature",), ranges=ranges, slots=2, pruner="median")
    given = varying.specified(wish, recipe(), CATALOG, grid=False)
    assert (given.pruner, given.slots) == ("median", 2)
    assert varying.specified(wish, recipe(), CATALOG, grid=True).slots == 2


@pytest.mark.thorough
def test_the_fields_of_design_take_a_pruner_and_several_at_once(workspace: Workspace, nobody_works: list[str]) -> None:
    app = design(workspace)
    app.multiselect("vary_knobs").set_value(["steps.1.temperature"]).run()
    app.number_input("vary_slots").set_value(3).run()
    app.radio("vary_pruner").set_value("hyperband").run()
    click(app, "vary_find")
    (made,) = store.searches(workspace)
    assert (made.specification().pruner, made.specification().slots) == ("hyperband", 3)


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_was_cut_is_counted_with_its_time_and_all_that_go_on_are_linked(
    workspace: Workspace, language: str
) -> None:
    given = asked()
    cut = Trial(number=6, run="6" * 13 + "-000000", values={}, state="cut", why="behind", seconds=75.0)
    going = [Trial(number=n, run=f"{n}" * 13 + "-000000", values={}) for n in (7, 8)]
    made = stored(workspace, given, status="running", cause="", trials=(*tried(given), cut, *going))
    app = shown("search", language, search=made.id)
    told = text(app)
    assert ("1 trial was cut early" if language == "en" else "1 次试验在同一轮数上落后") in told
    assert "1:15" in told
    assert ("Two knobs" if language == "en" else "两个选项") in told
    assert ("interpolated, not measured" if language == "en" else "插值，并非测量所得") in told


# charts


def test_the_table_behind_the_charts_has_what_was_measured() -> None:
    trials = tried(asked())
    table = charts.info(trials, answer(trials, BOUNDS, TEACHER), BOUNDS, TEACHER)
    assert table["trial"].tolist() == [1, 2, 3, 4, 5]
    assert table["within"].tolist() == [False, True, False, True, True]
    assert table["best"].tolist() == [False, True, False, False, False]
    assert table["steps.2.ratio"].tolist() == [0.5, 0.6, 0.2, 0.8, 0.6]


def test_a_map_has_a_cell_a_combination_and_leaves_empty_what_was_not_measured() -> None:
    trials = tried(asked())
    table = charts.info(trials, answer(trials, BOUNDS, TEACHER), BOUNDS, TEACHER)
    drawn = charts.heat(table, ("steps.2.ratio", "steps.3.bits"), ("r", "b"), lambda path, value: str(value))
    cells = [cell for row in drawn.data[0].text for cell in row]
    assert sum(bool(cell) for cell in cells) == 5
    assert len(cells) == 4 * 3
