"""A run as one table in long form: its parameters, points, controls and curves, a row a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from core.errors import UserErrors
from core.events import Progress
from core.options import Value
from core.points import Point
from core.runs import Run
from core.state import StepState
from core.text.escaping import UserText

FIGURES = (
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "validation_accuracy",
    "target_accuracy",
    "bytes",
    "compressed_bytes",
    "packed_bytes",
    "params",
    "macs",
    "accuracy_mean",
    "accuracy_sd",
    "seeds",
)
PROGRESS = ("loss", "accuracy", "validation_loss", "validation_accuracy")
SHARED = "share of 1"
UNITS = {
    "bytes": "bytes",
    "compressed_bytes": "bytes",
    "packed_bytes": "bytes",
    "latency_p50": "ms",
    "latency_p95": "ms",
}


class Row(NamedTuple):
    """One figure; `step`, `seed` and `epoch` are empty where there is none."""

    run: str
    kind: str
    step: str
    seed: str
    name: str
    epoch: str
    figure: str
    value: str
    unit: str


def table(run: Run) -> list[Row]:
    """All rows of a run, parameters first, then the environment, points, controls, curves."""
    return [*_parameters(run), *_environments(run), *_points(run), *_curves(run)]


def to_csv(run: Run) -> bytes:
    """The table for a spreadsheet: UTF-8 with its mark, and no cell is taken for a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(Row._fields)
    for row in table(run):
        writer.writerow([UserText(cell).csv() if not _is_number(cell) else cell for cell in row])
    return out.getvalue().encode("utf-8-sig")


def _parameters(run: Run) -> Iterator[Row]:
    try:
        recipe = run.recipe().resolved()
    except (UserErrors, OSError, ValueError):  # broken by hand: the figures are still the run's
        return
    for name, value in recipe.knobs().items():
        yield Row(run.id, "parameter", "", "", "", "", name, told(value), "")
    for place, step in enumerate(recipe.steps):
        for name, value in {"stage": step.stage, "method": step.method, **step.options}.items():
            yield Row(run.id, "parameter", str(place), "", "", "", name, told(value), "")


def _environments(run: Run) -> Iterator[Row]:
    """That of the run's last start; then, of a run that was measured in several, each point's own."""
    summary = run.summary()
    for name, value in summary.environment.items():
        yield Row(run.id, "environment", "", "", "", "", name, value, "")
    for point in (*summary.points, *summary.controls):
        for name, value in point.own_environment.items():
            yield Row(run.id, "environment", str(point.step), "", point.name, "", name, value, "")


def _points(run: Run) -> Iterator[Row]:
    summary = run.summary()
    for kind, points in (("point", summary.points), ("control", summary.controls)):
        for point in points:
            seen = {"": point} | {f"{name}_": point.seen_in(name) for name in point.runtimes or ()}
            for prefix, there in seen.items():
                for figure, value in figures(there) if not prefix else _answered(there):
                    unit = UNITS.get(figure, SHARED if "accuracy" in figure else "")
                    yield Row(run.id, kind, str(point.step), "", point.name, "", prefix + figure, told(value), unit)


def figures(point: Point) -> Iterator[tuple[str, int | float]]:
    """What was measured of a point; what was not is left out."""
    for figure in FIGURES:
        value = getattr(point, figure)
        if value is not None:
            yield figure, value
    if point.latency_ms is not None:
        yield "latency_p50", point.latency_ms.p50
        yield "latency_p95", point.latency_ms.p95


def _answered(point: Point) -> Iterator[tuple[str, int | float]]:
    """Of a point as seen in a further runtime, what depends on the runtime."""
    return ((figure, value) for figure, value in figures(point) if "accuracy" in figure or "latency" in figure)


def _curves(run: Run) -> Iterator[Row]:
    for step in run.state().steps:
        for progress, figure, value in reported(step):
            unit = SHARED if "accuracy" in figure else ""
            name = progress.control or progress.what
            place = str(step.step), str(progress.seed), name, str(progress.epoch)
            yield Row(run.id, "curve", *place, figure, told(value), unit)


def reported(step: StepState) -> Iterator[tuple[Progress, str, int | float]]:
    """What was reported at the end of each epoch: the report, the figure's name and its value."""
    for progress in step.curve:
        if progress.batch:
            continue
        for figure in PROGRESS:
            value = getattr(progress, figure)
            if value is not None:
                yield progress, figure, value


def told(value: Value) -> str:
    """A value as text that reads back as the same value."""
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
