"""A recipe fitted to small data: nothing is refused afterwards, what changed is said, and Undo takes it back alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.catalog import Facts, load_catalog
from core.recipe import Recipe, Step
from dashboard.design import draft, presets
from dashboard.design.changes import changes
from dashboard.design.fit import FITTED, choose_dataset, fit
from dashboard.design.keeping import from_document, to_document


def own(train: int, classes: int = 4) -> dict[str, Facts]:
    facts = {"title": "photos", "classes": classes, "images": 2 * train, "train": train, "where": "own"}
    return {"photos": {"name": "photos", **facts}}


@pytest.mark.parametrize("train", [8, 20, 84, 299, 300, 5000])
@pytest.mark.parametrize("preset", ["", *(preset.name for preset in presets.PRESETS)])
@pytest.mark.parametrize("knobs", [{"labels": 300}, {"labels": 2}, {"labels": 0, "shots": 50}], ids=str)
def test_no_count_is_refused_afterwards(train: int, preset: str, knobs: dict[str, int]) -> None:
    known = own(train)
    start = draft.first("x")
    start = start.changed(replace(start.recipe, **knobs))  # type: ignore[arg-type]
    now = choose_dataset(start, "photos", known)
    if preset:
        now = presets.apply(now, preset, known)
        assert presets.in_force(now.recipe, known) == preset
    assert not [
        fault for fault in draft.faults(now.recipe, load_catalog().with_datasets(known)) if fault.code in FITTED
    ]


def test_what_fits_is_left_alone() -> None:
    start = draft.first("x")
    now = choose_dataset(start, "photos", own(5000))
    assert now.recipe == replace(start.recipe, dataset="photos")
    assert now.unfitted is None


def test_undo_takes_the_adjustment_back_and_then_the_choice() -> None:
    start = draft.first("x")
    now = choose_dataset(start, "photos", own(84))
    assert now.recipe.labels == 0
    assert now.unfitted is not None
    (change,) = changes(now.unfitted, now.recipe)
    assert (change.before, change.after) == (300, 0)
    back = draft.undo(now)
    assert (back.recipe.dataset, back.recipe.labels, back.unfitted) == ("photos", 300, None)
    assert draft.undo(back).recipe == start.recipe


def test_data_that_is_large_enough_again_brings_back_what_was_wished() -> None:
    known = {**own(40), "many": {**own(5000)["photos"], "name": "many"}}
    steps = (Step("transfer", "fine_tune", {"batch": 64}), Step("distill", "kd", {"batch": 512}))
    start = draft.Draft(Recipe("x", "fashion-mini", "resnet8", steps, labels=300))
    small = choose_dataset(start, "photos", known)
    assert (small.recipe.labels, small.recipe.steps[1].options["batch"]) == (0, 32)
    small = draft.set_option(small, 0, "batch", 16)  # set by hand since: it stays
    for now in (small, from_document(to_document(small))):  # also after a reload
        back = choose_dataset(now, "many", known)
        given = [dict(step.options) for step in back.recipe.steps]
        assert (back.recipe.labels, given) == (300, [{"batch": 16}, {"batch": 512}])
        assert back.unfitted is not None, "and the page says so"
        assert draft.undo(back).recipe.labels == 0


def test_batches_and_calibration_within_the_data() -> None:
    steps = (
        Step("transfer", "fine_tune", {"batch": 64}),
        Step("distill", "kd", {"batch": 512}),
        Step("quantize", "static", {"calibration_images": 4096}),
    )
    recipe = Recipe("x", "photos", "resnet8", steps, labels=40)
    fitted = fit(recipe, own(100))
    assert fitted.labels == 40
    given = [dict(step.options) for step in fitted.steps]
    assert given == [{"batch": 32}, {"batch": 64}, {"calibration_images": 100}]


def test_a_kept_draft_comes_back_whole() -> None:
    now = draft.set_knob(choose_dataset(draft.first("é [x]"), "photos", own(84)), "image_size", -5)
    back = from_document(to_document(now))
    assert (back.recipe, back.past, back.future, back.wished) == (now.recipe, now.past, now.future, now.wished)


@pytest.mark.parametrize(
    "change",
    [{"recipe": None}, {"recipe": []}, {"past": 1}, {"base": {"name": 1}}, {"wished": [1]}, {"future": [{}] * 51}],
    ids=str,
)
def test_another_document_is_refused(change: dict[str, object]) -> None:
    document = {**to_document(draft.first("x")), **change}
    with pytest.raises(ValueError):
        from_document(document)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "step",
    [
        {"stage": "transfer", "method": "nothing"},
        {"stage": "../x", "method": "kd"},
        {"stage": "distill", "method": "kd", "temperature": {"a": 1}},
        {"stage": "distill", "method": "kd", "other": 1},
        {"stage": "distill", "method": "kd", "student": "x" * 5000},
        "x",
    ],
    ids=str,
)
def test_an_unknown_step_is_refused(step: Any) -> None:
    document = to_document(draft.first("x"))
    recipe = document["recipe"]
    assert isinstance(recipe, dict)
    with pytest.raises(ValueError):
        from_document({**document, "recipe": {**recipe, "steps": [step]}})
