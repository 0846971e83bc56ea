"""A recipe fitted to the counts of its data: what the dataset is too small for, set to what it can give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.catalog import Facts, load_catalog
from core.errors import UserError
from core.recipe import Recipe
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
    back alone."""
    return adjusted(draft.set_knob(now, "dataset", name), own)


def adjusted(now: Draft, own: Mapping[str, Facts]) -> Draft:
    """The draft with its recipe fitted to the data, and the former one kept beside it for the note; the same draft
    where nothing had to be."""
    recipe = fit(now.recipe, own)
    if recipe == now.recipe:
        return now
    changed = now.changed(recipe).renewed()
    return replace(changed, preset=now.preset, unfitted=now.recipe)


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
