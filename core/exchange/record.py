"""What of a run another tool is told: parameters, tags, curves and points as metrics, files.

What was not computed is absent: a log holds finite numbers only, so a loss that diverged is a gap in its curve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import UserError, UserErrors
from core.events import Measured, Progress
from core.points import Point
from core.run_files.artifacts import refuse_damaged
from core.run_files.run_table import UNITS, figures, reported, told
from core.runs import Run
from core.state import RunState, Status, StepState

PREFIX = "condenser."  # of tags
RUN = f"{PREFIX}run"  # the tag by which a run is found again
UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True)
class Metric:
    """A value at a time in seconds since 1970. `step` is the epoch of a curve, and the recipe's step of a point."""

    name: str
    value: float
    step: int
    time: float


@dataclass(frozen=True)
class Saved:
    """A file of the run's folder, as it was measured."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """A run as other tools take it. `begun` and `ended` are seconds since 1970, None if not known."""

    id: str
    name: str
    status: Status
    begun: float | None
    ended: float | None
    recipe: str
    note: str
    tags: dict[str, str]
    parameters: dict[str, str]
    metrics: tuple[Metric, ...]
    files: tuple[Saved, ...]


def record(run: Run) -> Record:
    """The run as it stands; raises UserError as `refuse_damaged` where a file is not as it was measured."""
    state, summary = run.state(), run.summary()
    for artifact in state.artifacts:
        refuse_damaged(run, artifact.path)
    return Record(
        id=run.id,
        name=summary.name,
        status=summary.status,
        begun=summary.started,
        ended=summary.finished,
        recipe=_recipe(run),
        note=summary.note,
        tags=_tags(run, state),
        parameters=_parameters(run),
        metrics=(*_curves(state), *_points(state)),
        files=tuple(Saved(each.path, each.bytes, each.sha256) for each in state.artifacts),
    )


def _recipe(run: Run) -> str:
    try:
        return run.recipe_text
    except (OSError, ValueError):
        return ""


def _parameters(run: Run) -> dict[str, str]:
    """By their paths in the recipe: `steps.1.temperature`. Empty where the recipe was broken by hand."""
    try:
        recipe = run.recipe().resolved()
    except (UserError, UserErrors, OSError, ValueError):
        return {}
    found = {name: told(value) for name, value in recipe.knobs().items()}
    for place, step in enumerate(recipe.steps):
        options = {"stage": step.stage, "method": step.method, **step.options}
        found |= {f"steps.{place}.{name}": told(value) for name, value in options.items()}
    return found


def _tags(run: Run, state: RunState) -> dict[str, str]:
    """Where and on what it was measured; the data's hash only where the log has it."""
    notes = run.notes()
    found = {RUN: run.id, f"{PREFIX}dataset": run.headline().dataset, f"{PREFIX}dataset_sha256": state.data}
    found |= {f"{PREFIX}environment.{name}": text for name, text in state.environment.items()}
    found |= {
        f"{PREFIX}point{point.step}{f'.{_safe(point.control)}' if point.control else ''}.environment.{name}": text
        for point in (*state.points, *state.controls)
        for name, text in point.own_environment.items()
        if text != state.environment.get(name)
    }
    found |= {f"{PREFIX}tags": ", ".join(notes.tags), f"{PREFIX}version": state.environment.get("condenser", "")}
    return {name: text for name, text in found.items() if text}


def _curves(state: RunState) -> Iterator[Metric]:
    """What was reported at the end of each epoch, under the step's name: `step1_distill/training_loss`."""
    for step in state.steps:
        own = min((progress.seed for progress in step.curve), default=0)
        for progress, figure, value in reported(step):
            yield Metric(_curve(step, progress, own, figure), value, progress.epoch, progress.time)


def _curve(step: StepState, progress: Progress, own: int, figure: str) -> str:
    """The metric of a curve; those of the recipe's `own` seed carry no seed."""
    seed = f"_seed{progress.seed}" if progress.seed != own else ""
    what = _safe(progress.control or progress.what)
    return f"step{step.step}_{_safe(step.stage)}{seed}/{what}_{figure}"


def _points(state: RunState) -> Iterator[Metric]:
    """The figures of each saved file, with their unit in the name: `point/latency_p50_ms` at the recipe's step."""
    points = {(point.step, point.name): point for point in (*state.points, *state.controls)}
    own = min((measured.seed for measured in state.measured), default=0)
    for measured in state.measured:
        if measured.role == "replica" or measured.seed != own:
            continue
        point = points.get((measured.point.step, measured.point.name), measured.point)
        for figure, value in figures(point):
            yield Metric(f"{_place(measured, point)}/{named(figure)}", float(value), point.step, measured.time)


def _place(measured: Measured, point: Point) -> str:
    return "point" if measured.role == "point" else f"control_{_safe(point.control or point.name)}"


def named(figure: str) -> str:
    """A figure's name with its unit, where that is not a share of 1 or a count."""
    unit = UNITS.get(figure, "")
    return f"{figure}_{unit}" if unit and unit not in figure else figure


def _safe(name: str) -> str:
    """A name that every tool takes."""
    return UNSAFE.sub("_", name).strip("_") or "unnamed"
