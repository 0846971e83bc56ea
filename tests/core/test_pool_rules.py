"""The option `pool` and sets without labels in a recipe: what is read, and what is refused with a way on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.catalog import Catalog, load_catalog
from core.errors import UserError, UserErrors
from core.recipe import Recipe, check, parse_recipe
from core.text import toml

RECIPE = """
dataset = "glyphs"
backbone = "resnet8"
{line}
[[steps]]
stage = "transfer"
method = "{method}"
{more}
"""
DISTIL = '[[steps]]\nstage = "distill"\nmethod = "kd"\n{options}'


def catalog() -> Catalog:
    frames = {
        "name": "frames",
        "title": "frames",
        "classes": 0,
        "images": 90,
        "train": 90,
        "unlabelled": True,
        "tests": 0,
        "class_names": [],
        "where": "own",
    }
    tested = {**frames, "name": "tested", "tests": 5, "train": 85, "classes": 1, "class_names": ["7"]}
    strange = {**tested, "name": "strange", "class_names": ["cats"]}
    return load_catalog().with_datasets({"frames": frames, "tested": tested, "strange": strange})


def read(line: str, method: str = "fine_tune", options: str | None = "") -> Recipe:
    more = "" if options is None else DISTIL.format(options=options)
    return parse_recipe(RECIPE.format(line=line, method=method, more=more), catalog())


def refused(line: str, method: str = "fine_tune", options: str | None = "") -> UserError:
    with pytest.raises(UserErrors) as caught:
        read(line, method, options)
    (error,) = caught.value.errors
    return error


def test_it_is_read_and_written() -> None:
    recipe = read('pool = "frames"')
    assert recipe.pool == "frames"
    assert parse_recipe(recipe.to_toml(), catalog()) == recipe
    assert read("").pool == ""


def test_another_pool_is_another_recipe() -> None:
    recipe = read('pool = "frames"')
    assert recipe.prefix_hash(1) != replace(recipe, pool="").prefix_hash(1)


def test_a_set_without_labels_cannot_be_trained_on_alone() -> None:
    text = 'dataset = "frames"\nbackbone = "resnet8"\n[[steps]]\nstage = "transfer"\nmethod = "fine_tune"\n'
    with pytest.raises(UserErrors) as caught:
        parse_recipe(text, catalog())
    (error,) = caught.value.errors
    assert (error.code, error.field) == ("without_labels", "dataset")
    assert "it cannot be trained on alone" in error.given
    assert "target" in error.fix
    assert "pool" in error.fix


@pytest.mark.parametrize(
    ("line", "options", "code"),
    [
        ('pool = "glyphs"', "", "pool_is_dataset"),
        ('pool = "frames"', None, "idle_pool"),
        ('pool = "frames"', "pool = false", "idle_pool"),
        ('pool = "frame"', "", "unknown_dataset"),
        ("pool = 3", "", "wrong_type"),
    ],
)
def test_a_pool_that_cannot_be_one(line: str, options: str | None, code: str) -> None:
    error = refused(line, options=options)
    assert (error.code, error.field) == (code, "pool")
    assert error.fix


def test_a_class_to_leave_out_may_be_in_the_pool() -> None:
    error = refused('pool = "frames"', options='omit = "3"')
    assert (error.code, error.field) == ("conflicting_options", "steps.1.omit")
    assert "pool = frames" in error.given
    assert read('pool = "frames"', "pseudo_labels", 'omit = "3"\npool = false')


def test_pseudo_labels_need_a_pool_and_take_a_named_one() -> None:
    assert refused("", "pseudo_labels", None).code == "no_pool"
    assert "name a pool" in refused("", "pseudo_labels", None).fix
    assert read('pool = "frames"', "pseudo_labels", None).pool == "frames"


def test_the_pool_counts_for_the_batch_of_a_distillation() -> None:
    facts = {"name": "few", "title": "few", "classes": 2, "images": 60, "train": 40, "where": "own"}
    known = catalog().with_datasets({"few": facts})

    def accepted(line: str, batch: int) -> bool:
        more = DISTIL.format(options=f"batch = {batch}")
        text = RECIPE.format(line=line, method="linear_probe", more=more).replace("glyphs", "few")
        return check(toml.read(text), known).recipe is not None

    assert accepted("", 40)
    assert not accepted("", 41)
    assert accepted('pool = "frames"', 130)
    assert not accepted('pool = "frames"', 131)


def test_a_target_without_labels_must_be_adapted_to() -> None:
    assert read('target = "frames"', "dann", None).target == "frames"
    error = refused('target = "frames"', options=None)
    assert (error.code, error.field) == ("idle_target", "target")
    assert "no step adapts" in error.given
    assert read('target = "tested"', options=None).target == "tested", "it is measured on its labelled part"
    assert refused('target = "strange"', "dann", None).code == "nothing_in_common"
