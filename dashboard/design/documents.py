"""A recipe as data and back, unchecked: of known methods and right types, while its values may be wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from core.catalog import load_catalog
from core.options import PYTHON_TYPES, Option, Value
from core.recipe import Recipe, Step
from core.recipe_options import RECIPE_OPTIONS

MOST_STEPS = 64
LONGEST = 4096  # characters of a text


def from_data(data: object, *, complete: bool = True) -> Recipe:
    """The recipe that `data` says; unless `complete`, knobs that are absent have their defaults.

    Raises ValueError on anything that a form could not show.
    """
    if not isinstance(data, Mapping):
        raise ValueError("a recipe is no table")
    knobs: dict[str, Any] = {}
    for option in RECIPE_OPTIONS:
        value = data.get(option.name) if complete else data.get(option.name, option.default)
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
    options = {option.name: option for option in entry.options}
    given = {str(name): _value(value) for name, value in data.items() if name not in ("stage", "method")}
    if not all(name in options and _fits(options[name], value) for name, value in given.items()):
        raise ValueError(f"{stage}.{method} has other options")
    return Step(stage, method, given)


def _fits(option: Option, value: Value) -> bool:
    whole = option.type == "float" and type(value) is int
    return whole or type(value) is PYTHON_TYPES[option.type]


def _value(value: object) -> Value:
    if not isinstance(value, get_args(Value)) or len(str(value)) > LONGEST:
        raise ValueError("a value is of another type")
    assert isinstance(value, bool | int | float | str)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a value is not finite")
    return value
