"""Results that come with the lessons, measured by the product: `assets/lessons/results/<hash at that time>/`.

A result is found by the hash of the recipe kept with it, in which the defaults are written out: one of another recipe,
or of other defaults, is never shown, and options that came later have the value that changes nothing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from core.assets import LESSON_RESULTS
from core.events import Progress, parse
from core.jobs import DOCUMENT
from core.lessons.blocks import SEEDS, Lesson
from core.lessons.references import Look, in_runs, mean_of
from core.lessons.trained import with_training
from core.questions.feature_map import FeatureMap, FeatureMapRequest
from core.recipe import stored_recipe
from core.runs import Run, RunSummary
from core.state import RunState, Status, StepState

DIGITS = 16  # of the hash, in a folder's name
CURVES, MAPS = "curves.jsonl", "maps.json"


@cache
def prepared(recipe_hash: str, folder: Path = LESSON_RESULTS) -> RunSummary | None:
    """The result of a recipe by its hash, read once per process; None if there is none."""
    path = kept(folder).get(recipe_hash)
    return with_training(Run(path).summary(), _told(path)) if path is not None else None


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
    progress = _told(kept(folder).get(recipe_hash, folder))
    if summary is None or not progress:
        return None
    steps = [
        StepState(
            p.step,
            p.stage,
            p.method,
            p.name,
            0,
            0.0,
            seconds=0.0,
            curve=tuple(event for event in progress if event.step == p.step),
        )
        for p in summary.points
    ]
    chance = next((point.chance for point in summary.points if point.chance), None)
    return RunState(name=summary.name, status=Status.FINISHED, steps=tuple(steps), chance=chance)


def _told(path: Path) -> list[Progress]:
    """What was kept of the learning curves in a result's folder; nothing if they were not kept."""
    file = path / CURVES
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [event for line in lines if isinstance(event := parse(line), Progress)]


@cache
def maps(recipe_hash: str, folder: Path = LESSON_RESULTS) -> dict[str, FeatureMap]:
    """The feature maps that were kept of a prepared run, by the point as lessons name it."""
    path = kept(folder).get(recipe_hash, folder) / MAPS
    if not path.is_file():
        return {}
    found = DOCUMENT.validate_json(path.read_bytes())
    return {
        point: FeatureMapRequest.answer_from_document(answer)
        for point, answer in found.items()
        if isinstance(answer, dict)
    }
