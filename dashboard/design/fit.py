"""A recipe fitted to the counts of its data: what the dataset is too small for, set to what it can give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.catalog import Facts, load_catalog
from core.errors import UserError
from core.recipe import Recipe, Step
from core.recipe_options import RECIPE_OPTIONS
from dashboard.design import draft
from dashboard.design.draft import Draft

FITTED = {
    "more_labels_than_data": "labels",
    "fewer_labels_than_classes": "labels",
    "more_shots_than_images": "shots",
    "batch_larger_than_data": "batch",
    "calibration_larger_than_data": "calibration_images",
}
MOST = 100  # values set in one recipe


def choose_dataset(now: Draft, name: str, own: Mapping[str, Facts]) -> Draft:
    """The draft with another dataset, and what that is too small for adjusted: a change of its own, which Undo takes
    back alone. What an earlier dataset was too small for, and nobody has set since, is first as it was wished."""
    chosen = draft.set_knob(now, "dataset", name)
    wished = chosen.recipe if now.wished is None else restored(chosen.recipe, *now.wished)
    return _told(replace(chosen, wished=None), fit(wished, own), wished)


def adjusted(now: Draft, own: Mapping[str, Facts]) -> Draft:
    """The draft with its recipe fitted to the data, and the former one kept beside it for the note; the same draft
    where nothing had to be."""
    return _told(now, fit(now.recipe, own), now.recipe)


def _told(now: Draft, fitted: Recipe, wished: Recipe) -> Draft:
    if fitted == now.recipe:
        return now
    changed = replace(now.changed(fitted).renewed(), preset=now.preset, unfitted=now.recipe)
    return replace(changed, wished=None if fitted == wished else (wished, fitted))


def restored(recipe: Recipe, wished: Recipe, fitted: Recipe) -> Recipe:
    """`recipe` with the values of `wished` where it still has those that `fitted` was given in their place."""
    names = [o.name for o in RECIPE_OPTIONS if o.name not in ("name", "dataset")]
    knobs: dict[str, Any] = {
        name: getattr(wished, name) for name in names if getattr(recipe, name) == getattr(fitted, name)
    }
    steps = recipe.steps
    if [(s.stage, s.method) for s in steps] == [(s.stage, s.method) for s in fitted.steps]:
        steps = tuple(map(_restored_step, steps, wished.steps, fitted.steps))
    return replace(recipe, **knobs, steps=steps)


def _restored_step(step: Step, wished: Step, fitted: Step) -> Step:
    adjusted = {name for name in fitted.options if fitted.options[name] != wished.options.get(name)}
    back = {name for name in adjusted if step.options.get(name) == fitted.options[name]}
    kept = {name: value for name, value in step.options.items() if name not in back}
    return replace(step, options={**kept, **{n: wished.options[n] for n in back if n in wished.options}})


def fit(recipe: Recipe, own: Mapping[str, Facts]) -> Recipe:
    """The recipe with every value that its dataset is too small for set to the nearest that works: labels and images
    of each class to as many as there are, a batch to a power of two within the data, calibration to all images."""
    for _ in range(MOST):
        faults = (fault for fault in draft.faults(recipe, load_catalog().with_datasets(own)) if fault.code in FITTED)
        after = next((_with(recipe, fault, own) for fault in faults), recipe)
        if after == recipe:
            return recipe
        recipe = after
    return recipe


def _with(recipe: Recipe, fault: UserError, own: Mapping[str, Facts]) -> Recipe:
    facts = load_catalog().with_datasets(own).datasets[recipe.dataset]
    images, classes = int(facts.get("train") or facts["images"]), int(facts["classes"])
    name = FITTED[fault.code]
    if name == "labels":
        return replace(recipe, labels=0)
    if name == "shots":
        return replace(recipe, shots=images // classes)
    place = int(fault.field.split(".")[1])
    few = recipe.labels or recipe.shots * classes or images
    learned = min(few, images) if recipe.steps[place].stage == "transfer" else images
    value = images if name == "calibration_images" else 2 ** (learned.bit_length() - 1)
    return _with_option(recipe, place, name, value)


def _with_option(recipe: Recipe, place: int, name: str, value: int) -> Recipe:
    steps: list[Any] = list(recipe.steps)
    steps[place] = replace(steps[place], options={**steps[place].options, name: value})
    return replace(recipe, steps=tuple(steps))
