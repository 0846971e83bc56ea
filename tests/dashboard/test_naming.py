"""A variant's name says what changed, and never takes the place of one that a person gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from core.rules.fields import MAX_NAME
from dashboard.design import draft, naming
from dashboard.design.draft import Draft
from dashboard.i18n import speaking

Change = Callable[[Draft], Draft]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with speaking("en"):
        yield


def made(*changes: Change, name: str = "demo") -> Draft:
    recipe = replace(draft.bundled("demo"), name=name)
    now = Draft(recipe, base=recipe)
    for change in changes:
        now = naming.renamed(now, change(now))
    return now


def option(place: int, name: str, value: float | bool) -> Change:
    return lambda now: draft.set_option(now, place, name, value)


def knob(name: str, value: int | str) -> Change:
    return lambda now: draft.set_knob(now, name, value)


HOT, THIN = option(1, "temperature", 8.0), option(2, "ratio", 0.7)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ([HOT], "demo · T 8"),
        ([HOT, THIN], "demo · T 8 · ratio 0.7"),
        ([HOT, option(1, "temperature", 2.0)], "demo"),
        ([knob("labels", 0)], "demo · labels all"),
        ([knob("dataset", "digits")], "demo · digits"),
        ([option(1, "twin", False)], "demo · twin off"),
        ([lambda now: draft.remove_step(now, 2)], "demo · −L2 norm"),
        ([lambda now: draft.set_method(now, 3, "bf16")], "demo · bfloat16 weights"),
        ([lambda now: draft.move_step(now, 1, 2)], "demo · another order"),
        ([HOT, THIN, knob("seed", 1), knob("seeds", 2), knob("shots", 0)], "demo · seed 1 · seeds 2 · T 8 · +1"),
        ([HOT, lambda now: draft.undo(now)], "demo"),
    ],
)
def test_what_changed(changes: list[Change], name: str) -> None:
    assert made(*changes).recipe.name == name


def test_a_given_name_stays() -> None:
    assert made(knob("name", "mine"), HOT).recipe.name == "mine"
    assert made(HOT, knob("name", "mine"), THIN).recipe.name == "mine"
    assert not naming.automatic(made(knob("name", "mine")))


def test_without_a_former_recipe_nothing_is_renamed() -> None:
    first = draft.first("my first design")
    assert naming.renamed(first, HOT(first)).recipe.name == "my first design"


def test_a_variant_of_a_variant_tells_a_knob_once() -> None:
    assert made(option(1, "temperature", 3.0), name="demo · T 8 · +2").recipe.name == "demo · T 3"
    assert made(THIN, name="demo · T 8").recipe.name == "demo · T 8 · ratio 0.7"


def test_a_long_name_leaves_room() -> None:
    name = made(HOT, name="x" * MAX_NAME).recipe.name
    assert len(name) == MAX_NAME
    assert name.endswith(" · T 8")
