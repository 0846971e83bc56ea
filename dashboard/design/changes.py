"""What is different between two recipes, a change at a time, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from core.catalog import load_catalog
from core.options import Option, Value
from core.recipe import Recipe, Step
from core.recipe_options import RECIPE_OPTIONS


@dataclass(frozen=True)
class Change:
    """One thing that is another in a recipe: of the recipe itself (`stage` empty), or of a step.

    `option` is None where the step itself came (`before` None), went (`after` None) or changed its method.
    """

    stage: str
    option: Option | None
    before: Value | None
    after: Value | None


@dataclass(frozen=True)
class _Pair:
    before: Step | None
    after: Step | None
    stage: str


def changes(before: Recipe, after: Recipe) -> tuple[Change, ...]:
    """What differs between two recipes, defaults written out; not their names, which change nothing."""
    old, new = before.knobs(), after.knobs()
    others = [option for option in RECIPE_OPTIONS if option.name != "name"]
    knobs = [Change("", o, old[o.name], new[o.name]) for o in others if old[o.name] != new[o.name]]
    return (*knobs, *(change for pair in _pairs(before, after) for change in _step_changes(pair)))


def _pairs(before: Recipe, after: Recipe) -> Iterator[_Pair]:
    """The steps of both, the first of each stage with the first, the second with the second."""
    for stage in load_catalog().methods:
        old, new = ([s for s in recipe.steps if s.stage == stage] for recipe in (before, after))
        yield from (_Pair(one, other, stage) for one, other in zip_longest(old, new))


def _step_changes(pair: _Pair) -> Iterator[Change]:
    old, new = pair.before, pair.after
    if old is None or new is None or old.method != new.method:
        yield Change(pair.stage, None, old.method if old else None, new.method if new else None)
    if old is None or new is None:
        return
    options, was, now = _options(new), _written_out(old), _written_out(new)
    for name, option in options.items():
        if name in was and was[name] != now.get(name):
            yield Change(pair.stage, option, was[name], now.get(name))


def _options(step: Step) -> Mapping[str, Option]:
    return {option.name: option for option in load_catalog().method(step.stage, step.method).options}


def _written_out(step: Step) -> dict[str, Value]:
    found = {name: option.default for name, option in _options(step).items() if option.default is not None}
    return found | dict(step.options)
