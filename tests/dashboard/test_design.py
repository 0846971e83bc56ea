"""The Design page: what a person sets becomes the recipe, what is wrong is told where it is, Start starts one run."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.assets import SAMPLES
from core.catalog import load_catalog
from core.cluster.setting import set_cluster
from core.errors import UserError
from core.jobs import Job
from core.processes import here
from core.recipe import Recipe, Step, load_recipe, parse_recipe
from core.workspace import Workspace
from dashboard import components, launch
from dashboard.design import chain, command, draft, draft_state, effects, presets, preview
from dashboard.design.changes import changes
from tests.browser import Site, Watched, wait_until_drawn
from tests.dashboard.test_fit import own

ROOT = Path(__file__).resolve().parents[2]
HARNESS = """
import streamlit as st
live = st.Page("app_pages/live.py", title="Live", url_path="live")
design = st.Page({design!r}, title="Design", url_path="design", default=True)
st.navigation([design, live]).run()
"""
ANSWER: dict[str, Any] = {
    "rows": [
        {
            "step": 0,
            "stage": "transfer",
            "method": "linear_probe",
            "name": "big · Linear probe",
            "params": 3_400_000,
            "macs": 31_400_000,
            "bytes": 13_470_000,
            "exact": True,
            "why": "",
        },
        {
            "step": 2,
            "stage": "prune",
            "method": "l2",
            "name": "<b>small</b>",
            "params": 20_000,
            "macs": 2_000_000,
            "bytes": 82_000,
            "exact": False,
            "why": "a global ranking needs trained weights",
        },
    ],
    "seconds": 55.0,
    "seconds_low": 40.0,
    "seconds_high": 80.0,
    "memory_bytes": 900_000_000,
    "device": "cpu",
    "image_size": 64,
    "notes": [{"code": "download", "values": {"backbone": "![](http://x)", "megabytes": "12"}}],
}


class Answers:
    """What the page is told when it asks; `None` leaves it waiting."""

    def __init__(self) -> None:
        self.give: dict[str, Any] | UserError | None = ANSWER
        self.asked: list[str] = []

    def create_job(self, real: Callable[..., Job]) -> Callable[..., Job]:
        def create(store: Workspace, kind: str, request: dict[str, Any]) -> Job:
            job = real(store, kind, request)
            assert kind == "preview"
            self.asked.append(request["recipe"])
            if isinstance(self.give, UserError):
                job.fail(self.give)
            elif self.give is not None:
                job.answer(self.give)
            return job

        return create


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "workspace")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    found = Answers()
    monkeypatch.setattr(Workspace, "create_job", found.create_job(Workspace.create_job))
    monkeypatch.setattr(preview, "attended", lambda: True)
    monkeypatch.setattr(preview, "SETTLE", 0.0)
    return found


@pytest.fixture
def page(tmp_path: Path, store: Workspace, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page in a frame of its own, before its first run."""
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(store.path))
    monkeypatch.setattr(launch, "ensure_supervisor", lambda store: None)
    (tmp_path / "app_pages").mkdir()
    (tmp_path / "app_pages" / "live.py").write_text("import streamlit as st\nst.text(st.query_params['run'])\n")
    frame = tmp_path / "frame.py"
    frame.write_text(HARNESS.format(design=str(ROOT / "dashboard/app_pages/design.py")))
    return AppTest.from_file(str(frame), default_timeout=30)


def lies(page: AppTest) -> draft.Draft:
    """The draft on the page."""
    try:
        kept = page.session_state["kept:design.draft"]
    except KeyError:
        return draft.first("my first design")
    assert isinstance(kept, draft.Draft)
    return kept


def recipe(page: AppTest) -> Recipe:
    return lies(page).recipe


def told(page: AppTest) -> str:
    """Everything that is written on the page."""
    assert not page.exception
    groups = (page.markdown, page.caption, page.error, page.warning, page.info)
    return "\n".join(str(element.value) for group in groups for element in group)


def field(page: AppTest, place: int, name: str, shape: str) -> Any:
    step = recipe(page).steps[place]
    group: Any = {"slider": page.slider, "number": page.number_input, "menu": page.selectbox}[shape]
    return group(key=key(page, f"{place}_{step.method}_{name}_{shape}"))


def preset(page: AppTest) -> Any:
    return page.button_group(key=key(page, f"preset_{presets.in_force(recipe(page))}"))


def key(page: AppTest, name: str) -> str:
    """The key of a field: those of another edition are other fields."""
    return f"design_{lies(page).edition}_{name}"


def click(page: AppTest, name: str) -> AppTest:
    return page.button(key=f"design_{name}").click().run()


# the recipe


def test_first_sight(page: AppTest) -> None:
    page.run()
    words = told(page)
    assert "10 classes · 8,000 images" in words
    assert "weights at hand" in words
    assert "prunable" in words
    assert [step.stage for step in recipe(page).steps] == ["transfer", "distill", "prune", "quantize"]
    assert preset(page).value == "balanced"
    assert not page.button(key="design_start").disabled


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_control_has_help_and_words(page: AppTest, language: str) -> None:
    page.query_params["lang"] = language
    page.run()
    controls = [*page.number_input, *page.slider, *page.toggle, *page.text_input, *page.button_group]
    assert len(controls) > 20
    assert [control.label for control in controls if not control.help or not control.label] == []
    if language == "zh":
        assert "温度" in page.number_input(key=key(page, "1_kd_temperature_number")).label
        assert "个类别" in told(page)


@pytest.mark.thorough
def test_a_knob_becomes_the_recipe_and_undo_takes_it_back(page: AppTest) -> None:
    page.run()
    field(page, 2, "ratio", "slider").set_value(0.7).run()
    assert recipe(page).steps[2].options["ratio"] == 0.7
    field(page, 2, "ratio", "slider").set_value(0.5).run()
    assert "ratio" not in recipe(page).steps[2].options
    click(page, "undo")
    assert field(page, 2, "ratio", "slider").value == 0.7
    click(page, "redo")
    assert field(page, 2, "ratio", "slider").value == 0.5


@pytest.mark.thorough
def test_a_target_is_chosen_beside_the_data_set_and_asked_for_where_it_is_needed(page: AppTest) -> None:
    steps = (Step("transfer", "coral"),)
    page.session_state["kept:design.draft"] = draft.Draft(Recipe("to", "glyphs", "resnet8", steps))
    page.run()
    assert "“Adaptation: CORAL” without a target" in told(page).replace("\\", "").replace("\u2060", "")
    menu = page.selectbox(key=key(page, "target_menu"))
    assert menu.value == ""
    assert menu.options[0] == "none"
    assert "Digits in printed fonts, 8×8" not in menu.options, "it is the source"
    menu.set_value("digits").run()
    assert recipe(page).target == "digits"
    assert "without a target" not in told(page)
    page.selectbox(key=key(page, "target_menu")).set_value("fashion-mini").run()
    assert "no class of “Dataset” = glyphs" in told(page).replace("\\", "")


@pytest.mark.thorough
def test_every_method_of_the_catalog_is_shown_whole(page: AppTest) -> None:
    """A card for each method with all its options: what the engine adds appears without an edit."""
    for stage, menu in load_catalog().methods.items():
        for method, entry in menu.items():
            steps = (Step("transfer", "linear_probe"), Step(stage, method))
            base = draft.first("all").recipe
            made = draft.Draft(Recipe("all", base.dataset, base.backbone, steps))
            page.session_state["kept:design.draft"] = made
            page.run()
            assert not page.exception
            prefix = key(page, f"1_{method}_")
            groups = (page.number_input, page.slider, page.toggle, page.text_input, page.button_group, page.selectbox)
            drawn = [str(widget.key) for group in groups for widget in group]
            shown = {name.removeprefix(prefix).rpartition("_")[0] for name in drawn if name.startswith(prefix)}
            assert shown == {option.name for option in entry.options}, (stage, method)


@pytest.mark.thorough
def test_steps_move_go_and_come(page: AppTest) -> None:
    page.run()
    click(page, "remove_2")
    assert [step.stage for step in recipe(page).steps] == ["transfer", "distill", "quantize"]
    click(page, "add_prune")
    assert [step.stage for step in recipe(page).steps] == ["transfer", "distill", "prune", "quantize"]
    click(page, "up_2")
    assert [step.stage for step in recipe(page).steps] == ["transfer", "prune", "distill", "quantize"]
    assert page.button(key="design_add_quantize").disabled
    assert "Keep one of the two" in page.button(key="design_add_quantize").help


@pytest.mark.thorough
def test_another_method(page: AppTest) -> None:
    page.run()
    page.selectbox(key=key(page, "method_3")).set_value("weight_only").run()
    assert recipe(page).steps[3].method == "weight_only"
    page.button_group(key=key(page, "3_weight_only_bits_segments")).set_value(4).run()
    assert recipe(page).steps[3].options["bits"] == 4
    assert not page.exception


@pytest.mark.thorough
def test_data_and_backbone(page: AppTest) -> None:
    page.run()
    page.selectbox(key=key(page, "dataset_menu")).set_value("digits").run()
    page.selectbox(key=key(page, "backbone_menu")).set_value("alexnet").run()
    assert (recipe(page).dataset, recipe(page).backbone) == ("digits", "alexnet")
    assert "weights are downloaded (244.41 MB)" in told(page)


def test_menus_are_grouped_and_say_what_a_download_costs(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_state, "own_data", lambda: own(84))
    page.run()
    for menu in ("dataset", "target", "backbone"):
        options = [name for name in page.selectbox(key=key(page, f"{menu}_menu")).options if name != "none"]
        groups = [option.partition(" · ")[0] for option in options]
        places = [("Own", "At hand").index(name) if not name.startswith("Download") else 2 for name in groups]
        assert places == sorted(places), menu
        assert all(re.fullmatch(r"Download [\d.]+ [MG]B", name) for name in groups if name.startswith("Download"))
        assert (groups[0] == "Own") == (menu != "backbone")
    students = page.selectbox(key=key(page, "1_kd_student_menu")).options
    assert not [name for name in students if "ownload" in name], "a student learns from scratch: nothing is fetched"


@pytest.mark.thorough
def test_own_data_adjusts_the_recipe_with_a_note_and_a_way_back(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_state, "own_data", lambda: own(84))
    page.run()
    page.selectbox(key=key(page, "dataset_menu")).set_value("photos").run()
    (note,) = [info.value for info in page.info]
    assert note.startswith("Adjusted to the dataset: Labels used 300 → all")
    click(page, "fitted_undo")
    assert (recipe(page).dataset, recipe(page).labels) == ("photos", 300)
    assert "are more than there are" in page.error[0].value
    click(page, "redo")
    page.selectbox(key=key(page, "dataset_menu")).set_value("fashion-mini").run()
    assert recipe(page).labels == 300, "with enough images it is as it was"
    (note,) = [info.value for info in page.info]
    assert "Labels used all → 300" in note


# what is wrong


@pytest.mark.thorough
def test_a_conflict_is_told_on_its_card_and_start_waits(page: AppTest) -> None:
    page.run()
    click(page, "up_3")
    errors = [error.value for error in page.error]
    assert any(error.startswith("step 4, Prune is in the wrong place") for error in errors), errors
    assert not any("steps." in error for error in errors)
    assert page.button(key="design_start").disabled
    assert "Correct first (1): step 4, Prune" in told(page)
    click(page, "order_3")
    assert [step.stage for step in recipe(page).steps] == ["transfer", "distill", "prune", "quantize"]
    assert not page.error
    assert not page.button(key="design_start").disabled
    click(page, "undo")
    assert page.error, "the order before is there again"


@pytest.mark.thorough
def test_a_wrong_option_is_told_at_its_field_and_its_fold_opens(page: AppTest) -> None:
    page.run()
    field(page, 1, "student", "menu").set_value("alexnet").run()
    page.button_group(key=key(page, "1_kd_width_word")).set_value("number").run()
    (error,) = page.error
    assert "width" in error.value
    assert page.button(key="design_start").disabled
    field(page, 1, "width", "number").set_value(0).run()
    assert not page.error
    assert "larger than its teacher" in "".join(str(w.value) for w in page.warning)


@pytest.mark.thorough
def test_more_labels_than_images(page: AppTest) -> None:
    page.run()
    page.number_input(key=key(page, "labels_number")).set_value(9000).run()
    (error,) = page.error
    assert "labels" in error.value
    assert page.button(key="design_start").disabled


@pytest.mark.thorough
def test_a_device_that_is_not_here_is_told_at_its_field_and_the_recipe_can_be_taken_elsewhere(
    page: AppTest, store: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "devices", lambda: ("cpu",))
    page.run()
    elsewhere = recipe(page).to_toml().replace('device = "auto"', 'device = "cuda"')
    page.file_uploader(key="design_upload").upload("elsewhere.toml", elsewhere.encode(), "application/toml").run()
    assert recipe(page).device == "cuda"
    (error,) = page.error
    assert "device" in error.value.lower()
    assert page.button(key="design_start").disabled
    assert page.code, "the command for another machine"
    set_cluster(store, "10.0.0.1:6379")
    page.run()
    assert not page.error
    assert not page.button(key="design_start").disabled


def test_threads_above_the_cores_are_remarked_on(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "remarks", lambda recipe: (here.Remark("threads", recipe.threads, 1),))
    page.run()
    assert any("this machine has 1 core:" in str(box.value) for box in page.warning)
    assert not page.button(key="design_start").disabled


@pytest.mark.thorough
def test_every_step_removed(page: AppTest) -> None:
    page.run()
    for _ in range(4):
        click(page, "remove_0")
    assert recipe(page).steps == ()
    assert page.button(key="design_start").disabled
    assert not page.button(key="design_add_transfer").disabled
    assert page.button(key="design_add_prune").disabled


# presets


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["quick", "smallest", "fastest"])
def test_a_preset_is_applied_and_says_what_it_changed(page: AppTest, name: str) -> None:
    page.run()
    before = recipe(page)
    preset(page).set_value(name).run()
    (line,) = [info.value for info in page.info]
    for change in changes(before, recipe(page)):
        assert (change.option.title.en if change.option else change.stage.capitalize()) in line
    assert preset(page).value == name
    click(page, "undo")
    assert recipe(page) == before
    assert not page.info


# from elsewhere


@pytest.mark.thorough
def test_a_variant_of_a_run(page: AppTest, store: Workspace) -> None:
    text = (ROOT / "assets/recipes/bundled-teacher.toml").read_text()
    run = store.create_run(text)
    page.query_params["from"] = run.id
    page.run()
    assert recipe(page) == parse_recipe(text)
    field(page, 2, "ratio", "slider").set_value(0.7).run()
    assert recipe(page).steps[2].options["ratio"] == 0.7  # not loaded again over what was changed


@pytest.mark.thorough
@pytest.mark.parametrize("parameter", ["from", "sample"])
@pytest.mark.parametrize("value", ["../../etc", "0000000000000-000000", "<b>x</b>", "x" * 300])
def test_an_unknown_run_is_told_and_the_default_is_there(page: AppTest, parameter: str, value: str) -> None:
    page.query_params[parameter] = value
    page.run()
    (error,) = page.error
    assert "run" in error.value or "sample" in error.value
    assert "<b>" not in error.value
    assert recipe(page).hash() == load_recipe(ROOT / "assets/recipes/demo.toml").hash()


@pytest.mark.thorough
@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples come along")
def test_a_sample(page: AppTest) -> None:
    found = sorted(path.name for path in SAMPLES.iterdir() if (path / "recipe.toml").is_file())
    page.query_params["sample"] = found[0]
    page.run()
    assert not page.error
    assert recipe(page) == load_recipe(SAMPLES / found[0] / "recipe.toml")


@pytest.mark.thorough
def test_a_file_up_and_down_again_is_bit_equal(page: AppTest) -> None:
    page.run()
    text = load_recipe(ROOT / "assets/recipes/bundled-teacher.toml").to_toml().encode()
    page.file_uploader(key="design_upload").upload("mine.toml", text, "application/toml").run()
    assert not page.error
    (button,) = page.get("download_button")
    url = button.proto.url
    assert recipe(page).to_toml().encode() == text
    assert url


@pytest.mark.thorough
def test_a_wrong_file_is_told_with_its_line_and_changes_nothing(page: AppTest) -> None:
    page.run()
    before = recipe(page)
    page.file_uploader(key="design_upload").upload("bad.toml", b'schema = 1\nname = "x\n', "application/toml").run()
    (error,) = page.error
    assert "recipe line 2" in error.value
    assert recipe(page) == before
    field(page, 2, "ratio", "slider").set_value(0.7).run()
    assert not page.error


def test_the_command_on_the_page_is_the_recipes(page: AppTest, store: Workspace) -> None:
    page.run()
    (code,) = page.code
    assert code.value == command.command(recipe(page), workspace=store.path)


# the preview


def test_the_preview_is_asked_for_once_and_shown(page: AppTest, store: Workspace, answers: Answers) -> None:
    page.run()
    page.run()
    assert len(answers.asked) == 1
    assert parse_recipe(answers.asked[0]).hash() == recipe(page).hash()
    (table,) = page.table
    shown = table.value
    assert list(shown.columns) == ["Step", "Parameters", "MACs", "File ≈"]
    assert shown.iloc[0, 1] == "3.4\u00a0M"
    assert shown.iloc[1, 1] == "≈\u00a020\u00a0k"
    assert "<b>" not in str(shown.iloc[1, 0])
    words = told(page)
    assert "≈\u00a082.0\u00a0kB · 0:55" in words, "and in short beside Start"
    assert "about **55 s** (40–80) · 900.00 MB memory · CPU · images 64×64" in words
    assert "a global ranking needs trained weights" in words
    assert "![](" not in words


@pytest.mark.thorough
def test_a_change_asks_again_but_a_name_does_not(page: AppTest, answers: Answers) -> None:
    page.run()
    page.text_input(key=key(page, "name_text")).set_value("another").run()
    assert len(answers.asked) == 1
    answers.give = None
    field(page, 2, "ratio", "slider").set_value(0.7).run()
    assert len(answers.asked) == 2
    assert "of an earlier recipe" in told(page)
    (table,) = page.table
    assert str(table.value.iloc[0, 1]).startswith(":gray[")


def test_an_outdated_question_is_cancelled(page: AppTest, store: Workspace, answers: Answers) -> None:
    answers.give = None
    page.run()
    (first,) = store.job_ids()
    assert "being worked out" in told(page)
    answers.give = ANSWER
    field(page, 2, "ratio", "slider").set_value(0.7).run()
    assert store.job(first).cancel_requested()
    assert len(page.table) == 1


@pytest.mark.thorough
def test_answered_jobs_are_cleared_away(page: AppTest, store: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    page.run()
    assert len(store.job_ids()) == 1
    monkeypatch.setattr(preview, "KEEP", 0.0)
    page.run()
    assert store.job_ids() == []


def test_an_error_of_the_engine_is_shown_as_it_is(page: AppTest, answers: Answers) -> None:
    answers.give = UserError("unknown_kind", "kind", "preview", "one of profile, rank", "Ask for one of them.")
    page.run()
    (error,) = page.error
    assert error.value.startswith("**kind**: got preview.")
    assert not page.button(key="design_start").disabled


@pytest.mark.thorough
def test_no_answer_is_told_and_asked_no_more(page: AppTest, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    answers.give = None
    monkeypatch.setattr(preview, "PATIENCE", -1.0)
    page.run()
    page.run()
    assert "no answer within a minute" in page.error[0].value
    assert len(answers.asked) == 1


def test_without_a_supervisor_nothing_is_asked(
    page: AppTest, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "attended", lambda: False)
    page.run()
    assert answers.asked == []
    assert "condenser dashboard" in page.info[0].value


# start


@pytest.mark.thorough
def test_start_is_one_run_of_this_recipe_and_leads_there(page: AppTest, store: Workspace) -> None:
    page.run()
    field(page, 2, "ratio", "slider").set_value(0.7).run()
    made = recipe(page)
    click(page, "start")
    (run_id,) = store.run_ids()
    assert store.queued() == [run_id]
    assert parse_recipe(store.run(run_id).recipe_text) == made
    assert [element.value for element in page.text] == [run_id]


@pytest.mark.thorough
def test_a_double_click_is_one_run(page: AppTest, store: Workspace) -> None:
    page.run()
    click(page, "start")
    page.switch_page("app_pages/live.py")
    page.session_state["kept:design.draft"] = draft.first("my first design")
    page.switch_page(str(ROOT / "dashboard/app_pages/design.py")).run()
    click(page, "start")
    assert len(store.run_ids()) == 1


def test_read_only(page: AppTest, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.session.os.access", lambda *given: False)
    page.run()
    assert page.button(key="design_start").disabled
    assert "read-only" in told(page)
    assert answers.asked == []


# what is shown at once


def test_what_matters_most_is_shown_at_once_and_the_rest_folded() -> None:
    for stage, menu in load_catalog().methods.items():
        for method, entry in menu.items():
            shown = chain.important(Step(stage, method))
            assert len(shown) == min(chain.SHOWN, len(entry.options))
            assert {o.name for o in entry.options if o.first} <= {o.name for o in shown}, (stage, method)
    names = [option.name for option in chain.important(Step("distill", "kd"))]
    assert set(names) == {"temperature", "student", "weight", "epochs"}


def test_a_fold_says_what_is_changed_in_it(page: AppTest) -> None:
    page.run()
    labels = [expander.label for expander in page.expander]
    assert "11 more options · Fixed views 2" in labels
    assert "More settings: image size, seeds, threads, device · Image size 64 · Threads 2" in labels


def test_damaged_data_sets_of_ones_own_are_left_out(store: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_state, "workspace", lambda: store)
    (store.datasets / "own-1").mkdir()
    (store.datasets / "own-1" / "dataset.json").write_text("{")
    assert draft_state.own_data() == {}
    shutil.rmtree(store.datasets / "own-1")


def test_a_field_of_an_earlier_edition_is_not_heard(page: AppTest) -> None:
    """A second click on Remove, or a late message, must not reach the step that has taken the place."""
    page.run()
    old = lies(page).edition
    click(page, "remove_1")
    stale = f"""
from dashboard.design import draft, draft_state
draft_state.edit(lambda now: draft.remove_step(now, 1), {old})
"""
    late = AppTest.from_string(stale)
    late.session_state["kept:design.draft"] = lies(page)
    late.run()
    assert not late.exception
    assert lies(late).recipe == recipe(page)


# in a browser


@pytest.mark.thorough
@pytest.mark.usefixtures("attended")
def test_a_quick_hand_sets_only_what_it_sets(site: Site, watched: Watched) -> None:
    """Presses that come while the page is drawn again must not bring back the earlier values of other fields."""
    page = watched.page
    page.goto(site.at("design"))
    wait_until_drawn(page)
    page.locator("[class*=st-key-design_0_2_l2_ratio_slider] input").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(170)  # milliseconds: in the midst of drawing
    page.locator("[class*=st-key-design_][class*=_name_text] input").fill("typed quickly")
    page.keyboard.press("Tab")
    page.wait_for_timeout(1000)
    page.get_by_text("Recipe", exact=True).click()
    command = page.locator("[data-testid=stCode]")
    command.get_by_text("steps.2.ratio=0.6").wait_for()
    words = shlex.split(command.inner_text())
    settings = {words[place + 1] for place, word in enumerate(words) if word == "--set"}
    assert settings == {'name="typed quickly"', "steps.2.ratio=0.6"}
    watched.is_clean()


def test_the_drawing_follows_the_knob(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage's main knob is drawn where its effect is known before training, and told in words."""
    seen: dict[str, str] = {}
    monkeypatch.setattr(components, "chart", lambda *_, key, alt, **more: seen.update({key: alt}))
    page.run()
    assert seen == {}, "drawn only when it is opened"
    assert "At temperature 2 the example teacher says 65 % T-shirt, 21 % shirt" in told(page), "but told at once"
    for place, stage in enumerate(("distill", "prune", "quantize"), start=1):
        page.session_state[f"effects_{place}_{stage}"] = True
    page.run()
    assert not page.exception
    assert "At temperature 2 " in seen["effects_chart_1_distill"]
    assert "the 16 least important of the example layer's 32 channels" in seen["effects_chart_2_prune"]
    assert "255 different values" in seen["effects_chart_3_quantize"]
    before = seen["effects_chart_1_distill"]
    field(page, 1, "temperature", "number").set_value(8.0).run()
    assert (
        "At temperature 8 the example teacher says 21 % T-shirt, 16 % shirt"
        in seen["effects_chart_1_distill"]
        != before
    )
    assert not effects.drawable(Step("prune", "l2", {"scope": "global"})), "one layer alone says nothing of all"
    assert not effects.drawable(Step("prune", "taylor"))
    assert effects.drawable(Step("prune", "l1"))


@pytest.mark.thorough
def test_every_knob_without_an_example_says_why(page: AppTest) -> None:
    """Each distillation, pruning and quantization with options has a sentence: an example with numbers, or a reason."""
    for stage in ("distill", "prune", "quantize"):
        for method, entry in load_catalog().methods[stage].items():
            steps = (Step("transfer", "linear_probe"), Step(stage, method))
            page.session_state["kept:design.draft"] = draft.Draft(Recipe("x", "digits", "resnet8", steps))
            page.run()
            words = told(page)
            said = "xample here" in words or "the example " in words
            assert said == bool(entry.options), (stage, method)


# a recipe file, a variant, two windows

WRONG = """schema = 1
name = "wrong"
dataset = "fashion-mini"
backbone = "efficientnet_lite0"
labels = 300
[[steps]]
stage = "transfer"
method = "linear_probe"
[[steps]]
stage = "prune"
method = "l2"
ratio = 1.5
epochs = 900
"""


def test_mistakes_of_a_recipe_file_are_shown_at_their_fields(page: AppTest) -> None:
    page.run()
    page.file_uploader(key="design_upload").upload("wrong.toml", WRONG.encode(), "application/toml").run()
    assert recipe(page).name == "wrong"
    assert len(page.error) == 2
    assert field(page, 1, "ratio", "number").value == 1.5
    assert "Correct first (2): step 2, Prune: Pruning ratio; step 2, Prune: Recovery epochs" in told(page)
    field(page, 1, "ratio", "number").set_value(0.5).run()
    field(page, 1, "epochs", "number").set_value(9).run()
    assert not page.error
    assert not page.button(key="design_start").disabled


@pytest.mark.thorough
@pytest.mark.parametrize(
    "wrong",
    [
        WRONG.replace("ratio", "ration"),
        WRONG.replace("l2", "l7"),
        WRONG.replace("1.5", '"much"'),
        WRONG.replace("1.5", "inf"),
        WRONG.replace("efficientnet_lite0", "nothing"),
    ],
    ids=["option", "method", "type", "infinite", "backbone"],
)
def test_a_file_that_no_field_could_show_is_refused(page: AppTest, wrong: str) -> None:
    page.run()
    before = recipe(page)
    page.file_uploader(key="design_upload").upload("wrong.toml", wrong.encode(), "application/toml").run()
    assert not page.exception
    assert page.error
    assert recipe(page) == before


@pytest.mark.thorough
def test_a_variant_is_called_by_what_it_changed(page: AppTest, store: Workspace) -> None:
    run = store.create_run(
        (ROOT / "assets/recipes/demo.toml").read_text().replace("demo: few labels, big teacher", "demo")
    )
    page.query_params["from"] = run.id
    page.run()
    field(page, 1, "temperature", "number").set_value(8.0).run()
    assert recipe(page).name == "demo · T 8"
    (name,) = [widget for widget in page.text_input if "_name" in str(widget.key)]
    assert name.value == "demo · T 8", "the field shows it"
    name.set_value("mine").run()
    field(page, 2, "ratio", "slider").set_value(0.7).run()
    assert recipe(page).name == "mine", "a name that a person gave stays"
    click(page, "start")
    page.switch_page(str(ROOT / "dashboard/app_pages/design.py")).run()
    field(page, 2, "ratio", "slider").set_value(0.6).run()
    assert recipe(page).name == "mine · ratio 0.6", "after a start the next is its variant"


def address(page: AppTest) -> str:
    """The draft's id in the page's address."""
    found = page.query_params["draft"]
    return str(found if isinstance(found, str) else found[0])


@pytest.mark.thorough
def test_two_windows_do_not_overwrite_each_other(page: AppTest, tmp_path: Path) -> None:
    page.run()
    field(page, 2, "ratio", "slider").set_value(0.7).run()
    name = address(page)
    second = AppTest.from_file(str(tmp_path / "frame.py"), default_timeout=30)
    second.query_params["draft"] = name
    second.run()
    assert recipe(second).steps[2].options["ratio"] == 0.7, "a window opened with the address goes on"
    field(second, 2, "ratio", "slider").set_value(0.4).run()
    field(page, 2, "ratio", "slider").set_value(0.9).run()
    other = address(page)
    assert other != name
    for draft_id, ratio in ((name, 0.4), (other, 0.9)):
        again = AppTest.from_file(str(tmp_path / "frame.py"), default_timeout=30)
        again.query_params["draft"] = draft_id
        again.run()
        assert recipe(again).steps[2].options["ratio"] == ratio
