"""What a recipe leaves empty is empty wherever it is shown, and a stored recipe is read whatever became of its data."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.errors import UserError, UserErrors
from core.events import RunFinished, RunStarted
from core.recipe import load_recipe, parse_recipe, stored_recipe
from core.runs import Run
from core.storage.sealed import read_sealed
from core.workspace import Workspace
from dashboard.charts import points
from dashboard.components import csv
from dashboard.tradeoffs.chart import for_file
from tests.core.statistics.test_chance import measured

ROOT = Path(__file__).resolve().parents[2]
EMPTY = """
name = ""
dataset = "digits"
target = ""
backbone = "resnet8"

[[steps]]
stage = "transfer"
method = "linear_probe"
"""


def test_a_run_without_a_target_has_an_empty_one(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    run = store.create_run(EMPTY)
    run.emit(RunStarted(os.getpid(), {}), RunFinished())
    assert (run.headline().name, run.headline().target) == ("", "")
    for summary in (run.summary(), Run(run.folder).summary()):
        assert (summary.target, summary.name) == ("", run.id), "a run without a name is called by its id"
    assert '\\"\\"' not in run.result.read_text()


@pytest.mark.parametrize("field", ["target", "dataset", "backbone", "name"])
def test_what_an_earlier_version_stored_as_two_quotation_marks_is_read_as_empty(tmp_path: Path, field: str) -> None:
    run = measured(Workspace.open_or_create(tmp_path), "digits")
    stored = json.loads(read_sealed(run.result))  # earlier versions did not seal it
    run.result.write_text(json.dumps({**stored, field: '""'}))
    summary = Run(run.folder).summary()
    assert getattr(summary, field) == (run.id if field == "name" else "")
    table = points.info([summary])
    assert '""""""' not in csv(for_file(table)).decode("utf-8-sig")
    assert not table.map(lambda cell: cell == '""').any().any()


def test_nothing_is_called_nothing() -> None:
    assert UserError("x", "f", None, "a", "b").given == "nothing"
    assert UserError("x", "f", "", "a", "b").given == '""', "in a refusal an empty text is told as one"


@pytest.mark.parametrize("names", [("my own photos", ""), ("digits", "my own photos"), ("gone", "gone too")])
def test_a_stored_recipe_names_data_that_only_its_workspace_knew(names: tuple[str, str]) -> None:
    text = EMPTY.replace('"digits"', f'"{names[0]}"').replace('target = ""', f'target = "{names[1]}"')
    with pytest.raises(UserErrors):
        parse_recipe(text)
    found = stored_recipe(text)
    assert (found.dataset, found.target) == names
    assert len(found.steps) == 1


def test_what_is_no_recipe_is_still_refused() -> None:
    for text in ("not = = toml", "dataset = 3", 'dataset = "digits"\nbackbone = "resnet8"\nsteps = [1]'):
        with pytest.raises(UserErrors):
            stored_recipe(text)


@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_a_stored_recipe_is_the_one_that_was_checked(path: Path) -> None:
    checked = load_recipe(path)
    assert stored_recipe(path.read_bytes()) == stored_recipe(checked.to_toml()) == checked


def test_an_old_run_opens_whatever_is_allowed_today(tmp_path: Path) -> None:
    text = EMPTY.replace('"digits"', '"deleted since"').replace("linear_probe", "renamed") + "strength = 3\n"
    text = f"seeds = 1000000\nof_another_version = true\n{text}"
    store = Workspace.open_or_create(tmp_path)
    found = store.run(store.create_run(text).id).recipe()
    assert (found.dataset, found.seeds) == ("deleted since", 1_000_000)
    assert (found.steps[0].method, found.steps[0].options) == ("renamed", {"strength": 3})
    assert found.hash() == stored_recipe(found.to_toml()).hash(), "options of a method that no longer exists are kept"
    with pytest.raises(UserErrors) as refused:
        parse_recipe(text, store.catalog())
    assert {error.code for error in refused.value.errors} >= {"unknown_dataset", "unknown_method", "unknown_field"}
