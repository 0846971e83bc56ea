"""Results that come with the lessons, measured by the product: `assets/lessons/results/<hash at that time>/`.

A result is found by the hash of the recipe kept with it, in which the defaults are written out: one of another recipe,
or of other defaults, is never shown, and options that came later have the value that changes nothing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from core.assets import LESSON_RESULTS
from core.events import Progress, parse
from core.lessons.blocks import SEEDS, Lesson
from core.lessons.references import Look, in_runs, mean_of
from core.recipe import stored_recipe
from core.runs import Run, RunSummary
from core.state import RunState, Status, StepState

DIGITS = 16  # of the hash, in a folder's name


@cache
def prepared(recipe_hash: str, folder: Path = LESSON_RESULTS) -> RunSummary | None:
    """The result of a recipe by its hash, read once per process; None if there is none."""
    path = kept(folder).get(recipe_hash)
    return Run(path).summary() if path is not None else None


@cache
def kept(folder: Path = LESSON_RESULTS) -> dict[str, Path]:
    """The folder of each result, by its recipe's hash today."""
    folders = (path.parent for path in folder.glob("*/result.json"))
    return {stored_recipe((one / "recipe.toml").read_text(encoding="utf-8")).hash(): one for one in folders}


def of_seed(lesson: Lesson, seed: int) -> dict[str, RunSummary]:
    """The prepared results of a lesson's runs with one seed, by the run's key; those that are there."""
    place = SEEDS.index(seed)
    found = ((key, prepared(run.hashes[place])) for key, run in lesson.runs.items())
    return {key: summary for key, summary in found if summary is not None}


def over_seeds(lesson: Lesson) -> Look:
    """Looks figures up as their mean over the prepared seeds."""
    return mean_of([in_runs(of_seed(lesson, seed)) for seed in SEEDS])


def curves(recipe_hash: str, folder: Path = LESSON_RESULTS) -> RunState | None:
    """A state with nothing but the learning curves of a prepared run; None if they were not kept."""
    summary = prepared(recipe_hash, folder)
    path = kept(folder).get(recipe_hash, folder) / "curves.jsonl"
    if summary is None or not path.is_file():
        return None
    told = [parse(line) for line in path.read_text(encoding="utf-8").splitlines()]
    progress = [event for event in told if isinstance(event, Progress)]
    steps = [
        StepState(
            p.step, p.stage, p.method, p.name, 0, 0.0, seconds=0.0,
            curve=tuple(event for event in progress if event.step == p.step),
        )
        for p in summary.points
    ]  # fmt: skip
    chance = next((point.chance for point in summary.points if point.chance), None)
    return RunState(name=summary.name, status=Status.FINISHED, steps=tuple(steps), chance=chance)
