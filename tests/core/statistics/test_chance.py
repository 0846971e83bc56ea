"""Chance: counted from the splits, carried by every point, and never mistaken for something learned."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from core.commands.runs import run_line
from core.commands.terminal import point_line, points_table
from core.engine.data import Dataset, Split, Target, Unlabelled, chance_of, load_dataset
from core.events import DataLoaded, Measured, RunFinished, RunStarted
from core.points import Point
from core.run_files.bundle import model_card
from core.run_files.samples import samples
from core.runs import Run
from core.statistics.chance import Chance, assumed
from core.workspace import Workspace

RECIPE = """
name = "x"
dataset = "{dataset}"
backbone = "resnet8"

[[steps]]
stage = "transfer"
method = "linear_probe"
"""


def split(*labels: int) -> Split:
    return Split(torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), torch.tensor(labels))


def data(validation: Split, test: Split, classes: int = 4) -> Dataset:
    digits = load_dataset("digits", 8)
    names = tuple("abcdefgh"[:classes])
    return replace(digits, classes=names, train=split(0), validation=validation, test=test)


def test_it_is_guessing_where_classes_are_even_and_the_most_frequent_class_where_they_are_not() -> None:
    found = chance_of(data(split(0, 1, 2, 3), split(0, 0, 0, 1)))
    assert (found.classes, found.validation, found.test, found.target) == (4, 0.25, 0.75, None)
    assert found.is_majority(found.test)
    assert not found.is_majority(found.validation)
    target = Target(Unlabelled(torch.zeros(1, 1, 1, 1), (0, 1)), split(0, 1, 1, 1, 1), "")
    assert chance_of(data(split(0), split(0)), target).target == 0.8


def point(low: float | None, chance: Chance | None, validation: float | None = None) -> Point:
    middle = None if low is None else low + 0.05
    high = None if low is None else low + 0.1
    return Point(
        step=0,
        stage="transfer",
        method="linear_probe",
        name="probe",
        accuracy=middle,
        accuracy_low=low,
        accuracy_high=high,
        validation_accuracy=validation,
        bytes=1000,
        chance=chance,
    )


TEN = Chance(classes=10, test=0.1, validation=0.1)


@pytest.mark.parametrize(
    ("low", "chance", "validation", "expected"),
    [
        (0.1, TEN, None, True),  # its lower end is chance itself
        (0.09, TEN, 0.9, True),  # the test images decide where they were counted
        (0.101, TEN, 0.05, False),
        (0.6, Chance(classes=4, test=0.7, validation=0.25), None, True),  # above guessing, below the commonest class
        (None, TEN, 0.1, True),
        (None, TEN, 0.11, False),
        (None, TEN, None, False),
        (0.0, None, None, False),  # chance unknown: nothing is claimed
    ],
)
def test_a_point_is_at_chance_when_its_interval_reaches_it(
    low: float | None, chance: Chance | None, validation: float | None, expected: bool
) -> None:
    assert point(low, chance, validation).is_at_chance is expected


def test_other_seeds_do_not_hide_what_this_file_does() -> None:
    own = point(0.05, TEN)
    lucky = point(0.8, TEN)
    assert own.with_replicas([lucky, lucky]).is_at_chance, "the file that would be exported is the one at chance"


def test_on_a_target_it_has_a_chance_of_its_own() -> None:
    there = {"target_accuracy": 0.5, "target_accuracy_low": 0.4, "target_accuracy_high": 0.6}
    luck = Chance(classes=10, test=0.1, validation=0.1, target=0.45)
    found = point(0.5, luck).model_copy(update=there)
    assert (found.is_at_chance, found.is_at_chance_on_target) == (False, True)


def measured(store: Workspace, dataset: str, *, counted: Chance | None = None, low: float = 0.05) -> Run:
    run = store.create_run(RECIPE.format(dataset=dataset))
    run.emit(RunStarted(os.getpid(), {}))
    if counted:
        run.emit(DataLoaded(counted))
    run.emit(Measured("point", 0, point(low, None)), Measured("control", 0, point(low, None)), RunFinished())
    return run


def test_a_run_carries_what_was_counted_and_an_old_one_what_the_catalog_knows(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    counted = Chance(classes=10, test=0.3, validation=0.2)
    for run in (measured(store, "digits", counted=counted), measured(store, "my own", counted=counted)):
        fresh = Run(run.folder)
        for summary in (run.summary(), fresh.summary(), fresh._summarise()):
            assert [p.chance for p in (*summary.points, *summary.controls)] == [counted, counted]
    old = measured(store, "digits").summary()
    assert old.points[0].chance == assumed("digits") == Chance(classes=10, test=0.1, validation=0.1, counted=False)
    assert old.points[0].is_at_chance
    unknown = measured(store, "a set that is not here").summary()
    assert unknown.points[0].chance is None
    assert not unknown.points[0].is_at_chance


def test_a_stored_result_without_it_is_read_with_it() -> None:
    for summary in samples():
        assert all(p.chance == assumed("fashion-mini") for p in (*summary.points, *summary.controls))
        assert not any(p.is_at_chance for p in (*summary.points, *summary.controls))


def printed(run: Run) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(points_table(run.summary()))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_command_line_says_it_in_every_table(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    luck = Chance(classes=4, test=0.625, validation=0.5)
    bad, good = measured(store, "digits", counted=luck, low=0.6), measured(store, "digits", counted=luck, low=0.7)
    words = "not proven better than chance"
    assert words in point_line(bad.summary().points[0])
    assert words in run_line(bad.summary().line())
    assert "! not proven" in printed(bad)
    assert "chance: 62.5 %, always answering with the most frequent of 4 classes" in printed(bad)
    assert words not in point_line(good.summary().points[0]) + run_line(good.summary().line())
    assert "not proven" not in printed(good)
    card = {"classes": ["a"], "preprocessing": {"channels": 1, "size": 8, "mean": 0, "std": 1}, "backbone": "resnet8"}
    assert f"- Its accuracy is {words}." in model_card(bad, bad.summary().points[0], card)
    assert words not in model_card(good, good.summary().points[0], card)


def test_a_whole_run_counts_its_images(finished: Run) -> None:
    images = load_dataset("digits", 8)
    shares = [int(part.labels.bincount().max()) / len(part) for part in (images.test, images.validation)]
    for p in (*finished.summary().points, *finished.summary().controls):
        assert p.chance == Chance(classes=10, test=max(0.1, shares[0]), validation=max(0.1, shares[1]))
