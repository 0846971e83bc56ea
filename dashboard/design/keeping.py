"""A draft as a document and back: what is kept of it, so that a reloaded page goes on where a person was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from core.catalog import load_catalog
from core.drafts import Document
from core.options import PYTHON_TYPES, Value
from core.recipe import Recipe, Step
from core.recipe_options import RECIPE_OPTIONS
from dashboard.design.draft import Draft

KEPT = 50  # recipes to go back to, and forth
MOST_STEPS = 64
LONGEST = 4096  # characters of a text


def to_document(draft: Draft) -> Document:
    """The recipe, what was loaded last, and the history, as JSON."""
    past, future = draft.past[-KEPT:], draft.future[:KEPT]
    return {
        "recipe": _data(draft.recipe), "origin": _data(draft.origin), "preset": draft.preset,
        "past": [_data(recipe) for recipe in past], "future": [_data(recipe) for recipe in future],
    }  # fmt: skip


def from_document(document: Document) -> Draft:
    """The draft again; its recipes may be wrong, as while one designs them, but of known methods and right types.

    Raises ValueError on anything else.
    """
    past, future = (_list(document, name) for name in ("past", "future"))
    return Draft(
        _recipe(document.get("recipe")),
        _recipe(document.get("origin")),
        tuple(map(_recipe, past)),
        tuple(map(_recipe, future)),
        str(document.get("preset") or ""),
    )


def _data(recipe: Recipe) -> Any:
    return recipe.to_data()


def _list(document: Document, name: str) -> list[Any]:
    found = document.get(name)
    if not isinstance(found, list) or len(found) > KEPT:
        raise ValueError(f"{name} is no list of at most {KEPT} recipes")
    return found


def _recipe(data: object) -> Recipe:
    if not isinstance(data, Mapping):
        raise ValueError("a recipe is no table")
    knobs: dict[str, Any] = {}
    for option in RECIPE_OPTIONS:
        value = data.get(option.name)
        if type(value) is not PYTHON_TYPES[option.type]:
            raise ValueError(f"{option.name} is of another type")
        knobs[option.name] = _value(value)
    steps = data.get("steps")
    if not isinstance(steps, list) or len(steps) > MOST_STEPS:
        raise ValueError("the steps are no list")
    return Recipe(**knobs, steps=tuple(map(_step, steps)))


def _step(data: object) -> Step:
    if not isinstance(data, Mapping):
        raise ValueError("a step is no table")
    stage, method = str(data.get("stage")), str(data.get("method"))
    entry = load_catalog().methods.get(stage, {}).get(method)
    if entry is None:
        raise ValueError(f"{stage}.{method} is unknown")
    names = {option.name for option in entry.options}
    given = {str(name): _value(value) for name, value in data.items() if name not in ("stage", "method")}
    if not set(given) <= names:
        raise ValueError(f"{stage}.{method} has other options")
    return Step(stage, method, given)


def _value(value: object) -> Value:
    if not isinstance(value, get_args(Value)) or len(str(value)) > LONGEST:
        raise ValueError("a value is of another type")
    assert isinstance(value, bool | int | float | str)
    return value
