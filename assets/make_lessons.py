"""Makes assets/lessons/results: the results of every run that the bundled lessons refer to, with the seeds 0, 1 and 2.

`python assets/make_lessons.py WORKSPACE [LESSON …]` queues the runs that are missing in `WORKSPACE`, waits for them and
keeps of each the recipe and the result, and of seed 0 its curves where a lesson draws them. A run that is there is not
done again. Run it on a machine that does nothing else: the latencies are measured. Where a lesson draws a feature map,
the maps of seed 0 are kept as well.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from core.assets import LESSON_RESULTS, LESSONS
from core.lessons.blocks import SEEDS, Chart, Lesson
from core.lessons.check import references
from core.lessons.parse import parse_lesson
from core.lessons.prepared import CURVES, DIGITS, MAPS, kept
from core.lessons.references import point_of
from core.lessons.trained import TRAINED
from core.processes.ask import ask
from core.processes.workers import ensure_supervisor, stop_supervisor
from core.questions.feature_map import FeatureMap, FeatureMapRequest, Plane
from core.recipe import Recipe
from core.run_files.sides import Side
from core.runs import Run, Status
from core.workspace import Workspace

MAP: Plane = "tsne"  # which layout is kept
LOOK = 1.0  # seconds between two looks at the queue


def main(workspace: Path, wanted: list[str]) -> None:
    """Does what is missing and keeps the results of the lessons with the ids `wanted`, of all if there are none."""
    lessons = [lesson for lesson in bundled() if not wanted or lesson.id in wanted]
    store = Workspace.open_or_create(workspace)
    recipes = {recipe.hash(): recipe for lesson in lessons for recipe in needed(lesson)}
    known = good(store)
    done = {name: known.get(name) or store.submit(recipe.to_toml()) for name, recipe in recipes.items()}
    wait(store, list(done.values()))
    for name in recipes:
        keep(done[name], place_of(name))
    for lesson in lessons:
        for key in drawn_as_curves(lesson):
            keep_curves(done[lesson.runs[key].recipe.hash()])
        for key in told_of_training(lesson):
            for name in lesson.runs[key].hashes[key in set(drawn_as_curves(lesson)) :]:
                keep_curves(done[name], ends_only=True)
        for key, points in drawn_as_maps(lesson):
            keep_maps(store, done[lesson.runs[key].recipe.hash()], points)
    if not wanted:
        for path in LESSON_RESULTS.iterdir():
            if path not in {place_of(name) for name in recipes}:
                shutil.rmtree(path)


def place_of(recipe_hash: str) -> Path:
    """The folder of a recipe's result, there or to be made."""
    return kept().get(recipe_hash) or LESSON_RESULTS / recipe_hash[:DIGITS]


def bundled() -> list[Lesson]:
    """Every bundled lesson in English; the other language has the same runs."""
    return [parse_lesson(path.read_bytes()) for path in sorted((LESSONS / "en").glob("*.md"))]


def needed(lesson: Lesson) -> Iterator[Recipe]:
    """The recipes of a lesson's runs, with each seed."""
    yield from (replace(run.recipe, seed=seed) for seed in SEEDS for run in lesson.runs.values())


def drawn_as_curves(lesson: Lesson) -> Iterator[str]:
    """The keys of the runs whose learning curves a lesson draws."""
    for block in lesson.blocks:
        if isinstance(block, Chart) and block.kind == "curves":
            yield from [block.run] if block.run else [key for key, run in lesson.runs.items() if run.value is not None]


def told_of_training(lesson: Lesson) -> set[str]:
    """The keys of the runs whose training accuracy a lesson tells, which is read from their curves."""
    return {ref.run for _, ref in references(lesson) if ref.metric == TRAINED}


def drawn_as_maps(lesson: Lesson) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The keys of the runs whose feature maps a lesson draws, each with the points."""
    for block in lesson.blocks:
        if isinstance(block, Chart) and block.kind == "map":
            keys = [block.run] if block.run else [run.key for run in lesson.first_of_values]
            yield from ((key, block.points) for key in keys)


def good(store: Workspace) -> dict[str, Run]:
    """The runs of a workspace that ended well, or still may, by their recipe's hash."""
    ended = (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED)
    runs = [store.run(summary.id) for summary in store.runs() if summary.status not in ended]
    return {run.recipe().hash(): run for run in runs}


def wait(store: Workspace, runs: list[Run]) -> None:
    """Until all runs are over; raises RuntimeError on the first that failed."""
    if all(run.state().status.is_over for run in runs):
        return
    ensure_supervisor(store)
    try:
        for run in runs:
            while not (state := run.state()).status.is_over:
                time.sleep(LOOK)
            if state.status is not Status.FINISHED:
                raise RuntimeError(f"{run.id} ended as {state.status.value}: {state.error}")
    finally:
        stop_supervisor(store)


def keep(run: Run, folder: Path) -> None:
    """Keeps the recipe, its defaults written out, and the result: only the name of the system, and no
    list of files, which are not kept."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(run.recipe().resolved().to_toml(), encoding="utf-8")
    result = json.loads(run.result.read_text(encoding="utf-8"))
    result["environment"]["system"] = result["environment"]["system"].partition("-")[0]
    result = {key: value for key, value in result.items() if key not in ("seal", "files")}
    text = json.dumps(result, separators=(",", ":"), ensure_ascii=False) + "\n"
    (folder / "result.json").write_text(text, encoding="utf-8")


def keep_curves(run: Run, *, ends_only: bool = False) -> None:
    """Writes the values of a run's learning curves next to its result, all or those of the ends of epochs."""
    folder = place_of(run.recipe().hash())
    told = [event for step in run.state().steps for event in step.curve]
    told = [event for event in told if event.validation_accuracy is not None] if ends_only else told
    (folder / CURVES).write_text("".join(f"{event.to_line()}\n" for event in told), encoding="utf-8")


def keep_maps(store: Workspace, run: Run, points: tuple[str, ...]) -> None:
    """Writes the feature maps of some points of a run next to its result."""
    known = {name: point_of(run.summary(), name) for name in points}
    asked = {name: FeatureMapRequest(Side(run, point).id, MAP) for name, point in known.items() if point is not None}
    answers = {name: rounded(ask(store, request)) for name, request in asked.items()}
    told = {name: FeatureMapRequest.answer_to_document(answer) for name, answer in answers.items()}
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False) + "\n"
    (place_of(run.recipe().hash()) / MAPS).write_text(text, encoding="utf-8")


def rounded(found: FeatureMap) -> FeatureMap:
    """The map with two decimals, finer than any chart draws it."""
    x, y = (tuple(round(value, 2) for value in axis) for axis in (found.x, found.y))
    return replace(found, x=x, y=y)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
