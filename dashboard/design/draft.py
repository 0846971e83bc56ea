"""The recipe being designed: as it stands, what it was before, and the command that runs it.

While it is designed a recipe may be wrong; `core.recipe.check` says what is.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import toml
from core.assets import RECIPES, shipped
from core.catalog import Catalog, load_catalog
from core.errors import UserError, UserErrors
from core.escaping import UserText
from core.options import Option, Value
from core.recipe import Recipe, Step, check, parse_recipe, with_settings

BUNDLED = ("demo", "bundled-teacher")
KEPT = 200  # recipes to go back to
MOST_SETTINGS = 12  # of a command; with more a file is easier to read
BARE = re.compile(r"(?!true\b|false\b|inf\b|nan\b)[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Draft:
    """A recipe with its history; `origin` is what was loaded last, `preset` what was applied just now, `unfitted` what
    the recipe was before it was fitted to its data just now.

    `edition` counts the changes that no field made itself: fields of another edition are other fields.
    """

    recipe: Recipe
    origin: Recipe
    past: tuple[Recipe, ...] = ()
    future: tuple[Recipe, ...] = ()
    preset: str = ""
    edition: int = 0
    unfitted: Recipe | None = None

    def changed(self, recipe: Recipe) -> Draft:
        """The draft with `recipe` in it, from which `undo` leads back here."""
        if recipe == self.recipe:
            return self
        past = (*self.past, self.recipe)[-KEPT:]
        return replace(self, recipe=recipe, past=past, future=(), preset="", unfitted=None)

    def replaced(self, recipe: Recipe, preset: str = "") -> Draft:
        """The same for a recipe that comes as a whole."""
        return replace(self.changed(recipe).renewed(), origin=recipe, preset=preset)

    def renewed(self) -> Draft:
        """The draft in a new edition."""
        return replace(self, edition=self.edition + 1)


def first(name: str) -> Draft:
    """What a person begins with: the demo's recipe, called `name`."""
    recipe = replace(bundled("demo"), name=name)
    return Draft(recipe, recipe)


def bundled(name: str) -> Recipe:
    """A recipe that comes with the program."""
    return parse_recipe(shipped(RECIPES / f"{name}.toml").read_bytes())


def load(draft: Draft, text: str | bytes, catalog: Catalog | None = None) -> Draft:
    """The draft with the recipe that `text` holds; raises UserErrors with every mistake in it."""
    recipe = parse_recipe(text, catalog)
    return draft.replaced(recipe)


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
    place = place_for(draft.recipe, stage, catalog)
    if isinstance(place, UserError):
        return draft
    return _with_steps(draft, _inserted(draft.recipe, place, usual(stage)))


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


# what may follow what


def place_for(recipe: Recipe, stage: str, catalog: Catalog | None = None) -> int | UserError:
    """The last place where a step of `stage` may stand, else why it may not stand at the end."""
    before = {_key(fault) for fault in _conflicts(recipe, catalog)}
    refusal: UserError | None = None
    for place in range(len(recipe.steps), -1, -1):
        longer = replace(recipe, steps=_inserted(recipe, place, usual(stage)))
        new = [fault for fault in _conflicts(longer, catalog) if _key(fault) not in before]
        if not new:
            return place
        refusal = refusal or new[0]
    assert refusal is not None
    return refusal


def usual(stage: str) -> Step:
    """The step of `stage` to begin with: the method of the bundled recipe, else the first on the menu."""
    methods = [step.method for step in bundled("demo").steps if step.stage == stage]
    return Step(stage, (methods or list(load_catalog().methods[stage]))[0])


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


# the same from a command line


def command(recipe: Recipe, catalog: Catalog | None = None, workspace: Path | None = None) -> str:
    """The command that does what Start does, for a shell in any folder.

    A bundled recipe with settings where a few are enough, else the whole recipe, handed over on stdin.
    """
    catalog = catalog or load_catalog()
    found = [words for name in BUNDLED if (words := _settings(name, recipe, catalog)) is not None]
    words = min(found, key=len, default=["-"])
    where = ["--workspace", str(workspace)] if workspace else []
    told = shlex.join([*program(), "run", *words, *where])
    return told if found else f"printf %s {shlex.quote(recipe.to_toml())} | {told}"


def program() -> list[str]:
    """The words that start this installation's command line, wherever a shell is."""
    script = Path(sys.executable).with_name("condenser")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "core.cli"]


def file_name(recipe: Recipe) -> str:
    """What the downloaded recipe is called."""
    return UserText(re.sub(r"[^\w.-]+", "-", recipe.name).strip("-.").lower()).path() + ".toml"


def _settings(name: str, recipe: Recipe, catalog: Catalog) -> list[str] | None:
    """The bundled recipe and settings that make it equal; None where they cannot, or would be many."""
    start = bundled(name)
    if [step.stage for step in start.steps] != [step.stage for step in recipe.steps]:
        return None
    settings = list(_differences(start, recipe, catalog))
    if len(settings) > MOST_SETTINGS:
        return None
    try:
        made = with_settings(start, settings, catalog.with_datasets([recipe.dataset]))
    except UserErrors:  # the bundled recipe sets an option which the other method does not have
        return None
    if made.name != recipe.name or made.hash(catalog) != recipe.hash(catalog):
        return None
    return [str(RECIPES / f"{name}.toml"), *(word for setting in settings for word in ("--set", setting))]


def _differences(start: Recipe, recipe: Recipe, catalog: Catalog) -> Iterable[str]:
    before = start.knobs()
    for name, value in recipe.knobs().items():
        if value != before[name]:
            yield f"{name}={_written(value)}"
    resolved = zip(start.resolved(catalog).steps, recipe.resolved(catalog).steps, strict=True)
    for place, (old, new) in enumerate(resolved):
        if old.method != new.method:
            yield f"steps.{place}.method={_written(new.method)}"
            old = replace(old, options={**_defaults(new, catalog), **start.steps[place].options})
        for name, value in new.options.items():
            if value != old.options.get(name):
                yield f"steps.{place}.{name}={_written(value)}"


def _defaults(step: Step, catalog: Catalog) -> dict[str, Value]:
    options = catalog.method(step.stage, step.method).options
    return {option.name: option.default for option in options if option.default is not None}


def _written(value: Value) -> str:
    return value if isinstance(value, str) and BARE.fullmatch(value) else toml.write_value(value)
