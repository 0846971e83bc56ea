"""The recipe being designed: as it stands, what it was before, and the command that runs it.

While it is designed a recipe may be wrong; `core.recipe.check` says what is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from core.assets import RECIPES, shipped
from core.catalog import Catalog, load_catalog
from core.errors import UserError, UserErrors
from core.options import Option, Value
from core.recipe import Recipe, Step, check, parse_recipe
from core.text import toml
from dashboard.design.documents import from_data

KEPT = 200  # recipes to go back to
RANKS = {"quantize": 2, "export": 3}  # of a stage in a chain; what trains is 1
UNFIXABLE = ("unknown_field", "unknown_stage", "unknown_method", "unknown_backbone", "missing_field", "newer_schema")


@dataclass(frozen=True)
class Draft:
    """A recipe with its history; `preset` is what was applied just now, `unfitted` what the recipe was before it was
    fitted to its data just now. `base` is what was loaded or started last, and `parent` the run it is
    the recipe of, if any: a variant is called by what it changed of it. `wished` is the recipe before and after it was
    fitted last, see `design.fit`.

    `edition` counts the changes that no field made itself: fields of another edition are other fields.
    """

    recipe: Recipe
    past: tuple[Recipe, ...] = ()
    future: tuple[Recipe, ...] = ()
    preset: str = ""
    edition: int = 0
    unfitted: Recipe | None = None
    base: Recipe | None = None
    wished: tuple[Recipe, Recipe] | None = None
    parent: str = ""

    def changed(self, recipe: Recipe) -> Draft:
        """The draft with `recipe` in it, from which `undo` leads back here."""
        if recipe == self.recipe:
            return self
        past = (*self.past, self.recipe)[-KEPT:]
        return replace(self, recipe=recipe, past=past, future=(), preset="", unfitted=None)

    def replaced(self, recipe: Recipe, preset: str = "") -> Draft:
        """The same for a recipe that comes as a whole."""
        return replace(self.changed(recipe).renewed(), preset=preset)

    def renewed(self) -> Draft:
        """The draft in a new edition."""
        return replace(self, edition=self.edition + 1)


def first(name: str) -> Draft:
    """What a person begins with: the demo's recipe, called `name`."""
    return Draft(replace(bundled("demo"), name=name))


def bundled(name: str) -> Recipe:
    """A recipe that comes with the program."""
    return parse_recipe(shipped(RECIPES / f"{name}.toml").read_bytes())


def load(draft: Draft, text: str | bytes, catalog: Catalog | None = None) -> Draft:
    """The draft with the recipe that `text` holds, mistakes in its values and all: they are shown at their fields.

    Raises UserErrors where no field could show them: it is no TOML, names a method, an option or a backbone that is
    unknown, or has a value of another type.
    """
    try:
        recipe = parse_recipe(text, catalog)
    except UserErrors as error:
        found = as_written(text)
        if found is None or any(fault.code in UNFIXABLE for fault in error.errors):
            raise
        recipe = found
    return replace(draft.replaced(recipe), base=recipe, wished=None)


def as_written(text: str | bytes) -> Recipe | None:
    """The recipe in `text` unchecked; None where it is none of known methods and right types."""
    with suppress(UserError, ValueError):
        return from_data(toml.read(text), complete=False)
    return None


def faults(recipe: Recipe, catalog: Catalog | None = None) -> tuple[UserError, ...]:
    """Everything that is wrong with a recipe."""
    return check(recipe.to_data(), catalog or load_catalog()).errors


# changes


def set_knob(draft: Draft, name: str, value: Value) -> Draft:
    """One of RECIPE_OPTIONS set."""
    knob: dict[str, Any] = {name: value}
    return draft.changed(replace(draft.recipe, **knob))


def set_option(draft: Draft, place: int, name: str, value: Value) -> Draft:
    """One option of the step at `place` set; a value that is the default's is left out, so that recipes stay short."""
    step = draft.recipe.steps[place]
    rest = {key: old for key, old in step.options.items() if key != name}
    given = {} if value == _options(step)[name].default else {name: value}
    return _with_step(draft, place, replace(step, options={**rest, **given}))


def set_method(draft: Draft, place: int, method: str) -> Draft:
    """Another method for the step at `place`; it keeps those of its options that the new one has too."""
    step = draft.recipe.steps[place]
    return _with_step(draft, place, fitted(Step(step.stage, method, step.options))).renewed()


def add_step(draft: Draft, stage: str, catalog: Catalog | None = None) -> Draft:
    """A step of `stage` at the last place where it may stand; the draft as it is if there is none."""
    room = room_for(draft.recipe, stage, catalog)
    if isinstance(room, UserError):
        return draft
    return _with_steps(draft, _inserted(draft.recipe, *room))


def remove_step(draft: Draft, place: int) -> Draft:
    """The chain without the step at `place`."""
    steps = draft.recipe.steps
    return _with_steps(draft, steps[:place] + steps[place + 1 :])


def move_step(draft: Draft, place: int, to: int) -> Draft:
    """The step at `place` moved to the place `to`; where there is no such place nothing changes."""
    steps = list(draft.recipe.steps)
    if not 0 <= to < len(steps):
        return draft
    steps.insert(to, steps.pop(place))
    return _with_steps(draft, tuple(steps))


def undo(draft: Draft) -> Draft:
    """One change back."""
    if not draft.past:
        return draft
    future = (draft.recipe, *draft.future)
    return replace(
        draft, recipe=draft.past[-1], past=draft.past[:-1], future=future, preset="", unfitted=None
    ).renewed()


def redo(draft: Draft) -> Draft:
    """One change forth again."""
    if not draft.future:
        return draft
    past = (*draft.past, draft.recipe)
    return replace(
        draft, recipe=draft.future[0], past=past, future=draft.future[1:], preset="", unfitted=None
    ).renewed()


def put_in_order(draft: Draft) -> Draft:
    """The steps in an order in which they may follow each other: the first transfer, what trains, quantize, export."""
    return _with_steps(draft, ordered(draft.recipe).steps)


def ordered(recipe: Recipe) -> Recipe:
    """The recipe with its steps in that order; steps of one rank keep theirs."""
    first = next((place for place, step in enumerate(recipe.steps) if step.stage == "transfer"), -1)
    ranks = [0 if place == first else RANKS.get(step.stage, 1) for place, step in enumerate(recipe.steps)]
    steps = [step for _, step in sorted(zip(ranks, recipe.steps, strict=True), key=lambda pair: pair[0])]
    return replace(recipe, steps=tuple(steps))


def misplaced(recipe: Recipe, catalog: Catalog | None = None) -> bool:
    """Whether steps are in a wrong order, and nothing else is wrong with their order once they are in the right one."""
    before, after = (len(_conflicts(one, catalog)) for one in (recipe, ordered(recipe)))
    return after < before


# what may follow what


def room_for(recipe: Recipe, stage: str, catalog: Catalog | None = None) -> tuple[int, Step] | UserError:
    """The step of `stage` to begin with and the last place where it may stand, else why none may stand at the end.

    The step is that of the bundled recipe, else the first on the menu that may stand somewhere.
    """
    before = {_key(fault) for fault in _conflicts(recipe, catalog)}
    refusal: UserError | None = None
    for step in _candidates(stage):
        for place in range(len(recipe.steps), -1, -1):
            longer = replace(recipe, steps=_inserted(recipe, place, step))
            new = [fault for fault in _conflicts(longer, catalog) if _key(fault) not in before]
            if not new:
                return place, step
            refusal = refusal or new[0]
    assert refusal is not None
    return refusal


def _candidates(stage: str) -> list[Step]:
    bundled_first = [step.method for step in bundled("demo").steps if step.stage == stage]
    return [Step(stage, method) for method in dict.fromkeys([*bundled_first, *load_catalog().methods[stage]])]


def fitted(step: Step) -> Step:
    """The step with only those of its options that its method has, allows, and does not take anyway."""
    options = _options(step)
    kept = {
        name: value
        for name, value in step.options.items()
        if name in options and value != options[name].default and _allowed(options[name], value)
    }
    return replace(step, options=kept)


def _conflicts(recipe: Recipe, catalog: Catalog | None) -> list[UserError]:
    return [fault for fault in faults(recipe, catalog) if fault.code in ("conflicting_steps", "step_count")]


def _key(fault: UserError) -> tuple[str, str]:
    return fault.code, re.sub(r"\d+", "", fault.given)  # a step that is wrong already may have another number


def _inserted(recipe: Recipe, place: int, step: Step) -> tuple[Step, ...]:
    return (*recipe.steps[:place], step, *recipe.steps[place:])


def _allowed(option: Option, value: Value) -> bool:
    try:
        option.check(value)
    except UserError:
        return False
    return True


def _options(step: Step) -> Mapping[str, Option]:
    return {option.name: option for option in load_catalog().method(step.stage, step.method).options}


def _with_step(draft: Draft, place: int, step: Step) -> Draft:
    """With another step in that place: its own fields made the change."""
    steps = draft.recipe.steps
    return draft.changed(replace(draft.recipe, steps=(*steps[:place], step, *steps[place + 1 :])))


def _with_steps(draft: Draft, steps: tuple[Step, ...]) -> Draft:
    """With another chain, whose steps may have other places."""
    return draft.changed(replace(draft.recipe, steps=steps)).renewed()
