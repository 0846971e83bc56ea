"""The knob `target`: read and written, refused where the recipe alone shows that it cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.catalog import load_catalog
from core.commands.terminal import point_line, points_table
from core.errors import UserError, UserErrors
from core.points import Point
from core.recipe import Recipe, parse_recipe
from core.runs import RunSummary
from core.state import Status

RECIPE = """
dataset = "glyphs"
backbone = "resnet8"
{line}
[[steps]]
stage = "transfer"
method = "{method}"
"""


def refused(line: str, method: str = "fine_tune") -> UserError:
    with pytest.raises(UserErrors) as caught:
        parse_recipe(RECIPE.format(line=line, method=method))
    (error,) = caught.value.errors
    return error


def read(line: str, method: str) -> Recipe:
    return parse_recipe(RECIPE.format(line=line, method=method))


def test_it_is_read_and_written() -> None:
    recipe = read('target = "digits"', "dann")
    assert recipe.target == "digits"
    assert parse_recipe(recipe.to_toml()) == recipe
    assert read("", "fine_tune").target == ""
    assert parse_recipe(read("", "fine_tune").to_toml()).target == ""


def test_any_recipe_may_have_one_to_be_measured_on() -> None:
    assert read('target = "digits"', "fine_tune").target == "digits"


@pytest.mark.parametrize("method", ["coral", "mk_mmd", "dann", "adabn", "tent"])
def test_adaptation_without_a_target_names_both_fields_and_the_way_out(method: str) -> None:
    error = refused("", method)
    assert (error.code, error.field) == ("no_target", "steps.0.method")
    assert "target" in error.allowed
    assert 'target = "…"' in error.fix
    assert "another method" in error.fix


def test_only_methods_that_adapt_need_one() -> None:
    needing = {name for menu in load_catalog().methods.values() for name, entry in menu.items() if entry.needs_target}
    assert needing == {"coral", "mk_mmd", "dann", "adabn", "tent"}


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (
            'target = "fashion-mini"',
            "nothing_in_common",
            ("T-shirt/top", "dataset = glyphs (0, 1", "exact names"),
        ),
        ('target = "glyphs"', "target_is_dataset", ("dataset = glyphs",)),
        ('target = "digit"', "unknown_dataset", ("'digits'",)),
        ("target = 3", "wrong_type", ("text",)),
    ],
)
def test_a_target_that_cannot_be_one(line: str, code: str, told: tuple[str, ...]) -> None:
    error = refused(line)
    assert (error.code, error.field) == (code, "target")
    for part in told:
        assert part in f"{error.given} {error.allowed} {error.fix}"


def test_sets_whose_classes_only_loading_tells_are_left_for_it() -> None:
    text = RECIPE.format(line='target = "mine"', method="dann")
    assert parse_recipe(text, load_catalog().with_datasets(["mine"])).target == "mine"


def test_another_target_is_another_recipe() -> None:
    recipe = read('target = "digits"', "dann")
    assert recipe.hash() != replace(recipe, target="mnist").hash()
    assert recipe.prefix_hash(0) != replace(recipe, target="mnist").prefix_hash(0)


def test_what_was_not_measured_is_absent() -> None:
    point = Point(step=0, stage="transfer", method="dann", name="n", accuracy=0.5)
    assert not any(key.startswith("target") for key in point.to_json())
    measured = point.model_copy(update={"target_accuracy": 0.25})
    assert Point.model_validate(measured.to_json()).target_accuracy == 0.25


def test_several_seeds_are_one_accuracy_on_the_target_with_whiskers() -> None:
    told = ((0.5, 0.6), (0.7, 0.7), (0.6, 0.95))
    own, *others = (
        Point(
            step=0,
            stage="transfer",
            method="dann",
            name="n",
            accuracy=here,
            target_accuracy=there,
            target_accuracy_low=there - 0.01,
            target_accuracy_high=there + 0.01,
        )
        for here, there in told
    )
    assert own.on_target == 0.6
    assert own.target_whiskers == (0.59, 0.61)
    found = own.with_replicas(others)
    assert found.target_accuracy == 0.6, "that of the file stays"
    assert found.target_accuracy_mean == found.on_target == pytest.approx(0.75)
    deviation = ((0.15**2 + 0.05**2 + 0.2**2) / 2) ** 0.5
    assert found.target_accuracy_sd == pytest.approx(deviation)
    assert found.target_whiskers == pytest.approx((0.75 - deviation, 0.75 + deviation))
    assert Point.model_validate(found.to_json()) == found
    assert f"target 75.0 ± {100 * deviation:.1f} %" in point_line(found)
    without = own.with_replicas([other.model_copy(update={"target_accuracy": None}) for other in others])
    assert without.seeds == 3
    assert without.target_accuracy_mean is None
    assert without.target_whiskers == own.target_whiskers


def test_the_terminal_tells_of_the_target_where_it_was_measured() -> None:
    there = {"target_accuracy": 0.66, "target_accuracy_low": 0.61, "target_accuracy_high": 0.71}
    plain = Point(step=0, stage="transfer", method="dann", name="n", accuracy=0.5)
    measured = plain.model_copy(update=there)
    assert "target 66.0 ± 5.0 %" in point_line(measured)
    assert "target" not in point_line(plain)
    for points, wanted in (((plain,), False), ((plain, measured), True)):
        table = points_table(RunSummary(name="r", status=Status.FINISHED, points=points))
        assert ("on target" in [column.header for column in table.columns]) == wanted
