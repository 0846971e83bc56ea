"""The recipe being designed: changes and their way back, presets, files, and the command that does the same."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from core.catalog import STAGES
from core.errors import UserError, UserErrors
from core.recipe import Recipe, Step, load_recipe, parse_recipe, recipe_from
from dashboard.design import command, draft, presets
from dashboard.design.changes import changes
from dashboard.design.draft import Draft

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def now() -> Draft:
    return draft.first("mine")


def test_begins_with_the_demo_under_another_name(now: Draft) -> None:
    assert now.recipe.hash() == load_recipe(ROOT / "assets/recipes/demo.toml").hash()
    assert now.recipe.name == "mine"
    assert not now.past


def test_a_value_that_is_the_default_is_not_written(now: Draft) -> None:
    colder = draft.set_option(now, 1, "temperature", 3.0)
    assert colder.recipe.steps[1].options["temperature"] == 3.0
    back = draft.set_option(colder, 1, "temperature", 4.0)  # the method's default
    assert "temperature" not in back.recipe.steps[1].options
    assert "temperature" not in back.recipe.to_toml()


def test_another_method_keeps_what_it_has_too(now: Draft) -> None:
    four = draft.set_option(draft.set_method(now, 3, "weight_only"), 3, "bits", 4)
    back = draft.set_method(four, 3, "static")
    assert dict(back.recipe.steps[3].options) == {}  # 4 bits are not among its choices
    random = draft.set_method(now, 2, "random")
    assert random.recipe.steps[2].options["epochs"] == 6
    assert draft.faults(random.recipe) == ()


def test_undo_and_redo(now: Draft) -> None:
    first = draft.set_knob(now, "labels", 500)
    second = draft.remove_step(first, 2)
    assert draft.undo(second).recipe == first.recipe
    assert draft.undo(draft.undo(second)).recipe == now.recipe
    assert draft.redo(draft.undo(second)).recipe == second.recipe
    assert draft.undo(now) is now
    assert draft.redo(second) is second
    branch = draft.set_knob(draft.undo(second), "seed", 1)
    assert not branch.future


def test_nothing_changed_is_nothing_to_undo(now: Draft) -> None:
    assert draft.set_knob(now, "labels", now.recipe.labels) is now


def test_steps_are_added_where_they_may_stand(now: Draft) -> None:
    stages = [step.stage for step in draft.add_step(now, "prune").recipe.steps]
    assert stages == ["transfer", "distill", "prune", "prune", "quantize"]
    refusal = draft.room_for(now.recipe, "quantize")
    assert isinstance(refusal, UserError)
    assert draft.add_step(now, "quantize") is now
    bare = replace(now, recipe=replace(now.recipe, steps=()))
    assert draft.room_for(bare.recipe, "transfer") == (0, Step("transfer", "linear_probe"))
    assert isinstance(draft.room_for(bare.recipe, "prune"), UserError)


@pytest.mark.parametrize("stage", STAGES)
def test_an_added_step_makes_no_conflict(now: Draft, stage: str) -> None:
    assert draft.faults(draft.add_step(now, stage).recipe) == ()


def test_an_added_step_does_not_heal_what_is_wrong_elsewhere(now: Draft) -> None:
    wrong = draft.move_step(now, 3, 1)  # quantize before distill
    assert [fault.field for fault in draft.faults(wrong.recipe)] == ["steps.2.stage", "steps.3.stage"]
    longer = draft.add_step(wrong, "export")
    assert longer.recipe.steps[-1].stage == "export"
    assert len(draft.faults(longer.recipe)) == 2


def test_moving_beyond_an_end_changes_nothing(now: Draft) -> None:
    assert draft.move_step(now, 0, -1) is now
    assert draft.move_step(now, 3, 4) is now
    moved = draft.move_step(now, 1, 2)
    assert [step.stage for step in moved.recipe.steps] == ["transfer", "prune", "distill", "quantize"]


# files


@pytest.mark.parametrize("name", command.BUNDLED)
def test_up_and_down_again_is_bit_equal(now: Draft, name: str) -> None:
    text = replace(draft.bundled(name), name='größer „schöner" 名称 $x$').to_toml()
    loaded = draft.load(now, text.encode())
    assert recipe_from(loaded.recipe.to_data()).to_toml() == text
    assert draft.undo(loaded).recipe == now.recipe


def test_a_wrong_file_is_refused_with_its_line() -> None:
    with pytest.raises(UserErrors) as caught:
        draft.load(draft.first("mine"), 'schema = 1\nname = "x\n')
    assert caught.value.errors[0].field == "recipe line 2"


# presets


@pytest.mark.parametrize("preset", [preset.name for preset in presets.PRESETS])
@pytest.mark.parametrize("dataset", ["fashion-mini", "digits"])
@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "resnet8_fashion", "resnet20", "inception_v3"])
def test_a_preset_gives_a_good_recipe(now: Draft, preset: str, dataset: str, backbone: str) -> None:
    other = draft.set_knob(draft.set_knob(now, "dataset", dataset), "backbone", backbone)
    other = draft.set_knob(draft.set_knob(other, "image_size", 0), "labels", 200)
    applied = presets.apply(other, preset)
    made = recipe_from(applied.recipe.to_data())
    assert (made.dataset, made.backbone, made.labels) == (dataset, backbone, 200)
    assert presets.in_force(applied.recipe) == preset
    assert presets.apply(applied, preset).recipe == applied.recipe
    assert draft.undo(applied).recipe == other.recipe


def test_presets_differ() -> None:
    start = draft.first("mine").recipe
    assert len({presets.prepared(start, preset).hash() for preset in presets.PRESETS}) == len(presets.PRESETS)


def test_the_demo_is_balanced(now: Draft) -> None:
    assert presets.in_force(now.recipe) == "balanced"
    assert presets.in_force(draft.set_option(now, 2, "ratio", 0.51).recipe) is None


def test_a_preset_says_what_it_changed(now: Draft) -> None:
    after = presets.apply(now, "smallest").recipe
    told = {(c.stage, c.option.title.en if c.option else ""): (c.before, c.after) for c in changes(now.recipe, after)}
    assert told["prune", "Pruning ratio"] == (0.5, 0.75)
    assert told["quantize", ""] == ("static", "weight_only")
    quick = changes(now.recipe, presets.apply(now, "quick").recipe)
    assert any(change.stage == "prune" and change.after is None for change in quick)
    assert changes(now.recipe, now.recipe) == ()


def test_random_weights_are_not_probed(now: Draft) -> None:
    scratch = draft.set_knob(now, "weights", "none")
    assert presets.apply(scratch, "quick").recipe.steps[0].method == "fine_tune"
    assert presets.apply(now, "quick").recipe.steps[0].method == "linear_probe"


def test_a_preset_keeps_ones_own_transfer_and_export(now: Draft) -> None:
    mine = draft.add_step(draft.set_method(now, 0, "partial"), "export")
    steps = presets.apply(mine, "fastest").recipe.steps
    assert (steps[0].method, steps[-1].stage) == ("partial", "export")


# the command


def _run(line: str) -> Recipe:
    """What the command line makes of it."""
    words = shlex.split(line)
    start = command.program()
    assert words[: len(start) + 1] == [*start, "run"]
    path, *rest = words[len(start) + 1 :]
    assert Path(start[0]).is_absolute()
    assert Path(path).is_absolute()
    assert set(rest[::2]) <= {"--set"}
    return load_recipe(path, settings=rest[1::2])


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d,
        lambda d: draft.set_option(d, 1, "temperature", 3.0),
        lambda d: draft.set_option(d, 1, "views", 4),  # the default, where the bundled recipe says 2
        lambda d: draft.set_knob(d, "name", 'it\'s $HOME; `ls` "名称" = 5'),
        lambda d: draft.set_knob(d, "name", "true"),
        lambda d: draft.set_knob(d, "name", "0x10"),
        lambda d: draft.set_method(d, 2, "random"),
        lambda d: draft.set_option(draft.set_method(d, 3, "weight_only"), 3, "bits", 4),
        lambda d: draft.set_option(d, 1, "twin", False),
        lambda d: draft.set_option(d, 1, "learning_rate", 1e-05),
        lambda d: presets.apply(d, "smallest"),
        lambda d: draft.load(d, (ROOT / "assets/recipes/bundled-teacher.toml").read_bytes()),
    ],
)
def test_settings_on_a_bundled_recipe_give_the_same_run(now: Draft, change: object) -> None:
    assert callable(change)
    recipe: Recipe = change(now).recipe
    made = _run(command.command(recipe))
    assert (made.hash(), made.name) == (recipe.hash(), recipe.name)


@pytest.mark.thorough
def test_another_chain_is_handed_over_by_a_shell_in_any_folder(now: Draft, tmp_path: Path) -> None:
    """What the page shows, run as it stands: quotes, dollars and Chinese arrive as they were."""
    recipe = draft.set_knob(draft.add_step(now, "prune"), "name", "../up & `away` $HOME 名 'x' %s").recipe
    line = command.command(recipe, workspace=tmp_path / "a b")
    assert " run - --workspace " in line
    checked = line.replace(" run - ", " check - ") + " --json"
    done = subprocess.run(["/bin/sh", "-c", checked], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True), done.stderr
    handed = subprocess.run(["/bin/sh", "-c", line.rpartition(" | ")[0]], capture_output=True, check=True).stdout
    assert parse_recipe(handed) == recipe
