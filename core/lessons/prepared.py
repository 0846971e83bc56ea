"""Results that come with the lessons, measured by the product: `assets/lessons/results/<hash of the recipe>/`.

A result is found by its recipe's hash, so one of an earlier recipe, or of other defaults, is never shown.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from core.assets import LESSON_RESULTS
from core.lessons.blocks import Lesson
from core.lessons.references import Look, in_runs, mean_of
from core.recipe import Recipe
from core.runs import Run, RunSummary

SEEDS = (0, 1, 2)
DIGITS = 16  # of the hash, in a folder's name


def folder_of(recipe: Recipe, seed: int) -> str:
    """The name of the folder with the results of a recipe with that seed."""
    return replace(recipe, seed=seed).hash()[:DIGITS]


def prepared_run(recipe: Recipe, seed: int, folder: Path = LESSON_RESULTS) -> Run | None:
    """The prepared run of a recipe, for reading only; None if there is none."""
    path = folder / folder_of(recipe, seed)
    return Run(path) if (path / "result.json").is_file() else None


@cache
def prepared(recipe_hash: str, folder: Path = LESSON_RESULTS) -> RunSummary | None:
    """The summary of a prepared run by its folder's name, read once per process; None if there is none."""
    path = folder / recipe_hash
    return Run(path).summary() if (path / "result.json").is_file() else None


def of_seed(lesson: Lesson, seed: int) -> dict[str, RunSummary]:
    """The prepared results of a lesson's runs with one seed, by the run's key; those that are there."""
    found = ((key, prepared(folder_of(run.recipe, seed))) for key, run in lesson.runs.items())
    return {key: summary for key, summary in found if summary is not None}


def over_seeds(lesson: Lesson) -> Look:
    """Looks figures up as their mean over the prepared seeds."""
    return mean_of([in_runs(of_seed(lesson, seed)) for seed in SEEDS])
