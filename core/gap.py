"""The gain from a teacher: how much of the gap between the teacher and a student without one was recovered."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean, stdev

from pydantic import JsonValue

from core.controls import WITHOUT_TEACHER
from core.events import Measured
from core.points import Point

KEPT = "kept_incoming"  # the remark of a step whose training did not improve the incoming model
# two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom; a recipe has at most ten seeds
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def gap_recovered(measured: Iterable[Measured], step: int) -> dict[str, JsonValue] | None:
    """Of the distilled student of `step`: mean test accuracies of `teacher`, `twin` and `distilled` over the `seeds`
    that have all three, `gain` = distilled − twin, and `share` = gain / (teacher − twin).

    The twin is the same student without a teacher. `share` is absent if the teacher is no better than the twin: then
    there is no gap. With two or more seeds `gain_low` and `gain_high` are the 95 % interval of the gain (Student's t on
    the differences, seed by seed), and `low` and `high` that of the share, for the measured lead of the teacher. None
    if there is no twin. Seeds whose student stayed below the teacher, which was then kept, do not count.
    """
    trios = list(_trios(list(measured), step))
    if not trios:
        return None
    teacher, twin, distilled = (fmean(column) for column in zip(*trios, strict=True))
    gain, lead = distilled - twin, teacher - twin
    found: dict[str, JsonValue] = {
        "teacher": teacher, "twin": twin, "distilled": distilled, "gain": gain, "seeds": len(trios),
    }  # fmt: skip
    bounds: dict[str, float] = {}
    if 1 < len(trios) <= len(STUDENT) + 1:
        half = STUDENT[len(trios) - 2] * stdev(d - t for _, t, d in trios) / len(trios) ** 0.5
        bounds = {"low": gain - half, "high": gain + half}
    found |= {f"gain_{name}": value for name, value in bounds.items()}
    if lead > 0:
        found |= {"share": gain / lead} | {name: value / lead for name, value in bounds.items()}
    return found


def _remarks(point: Point) -> list[JsonValue]:
    found = point.receipt.get("remarks", [])
    return found if isinstance(found, list) else []


def _trios(measured: list[Measured], step: int) -> Iterable[tuple[float, float, float]]:
    """(teacher, twin, distilled) for each seed that has all three; the teacher is the step's incoming model."""
    for seed in sorted({m.seed for m in measured}):
        chain = {m.point.step: m.point for m in measured if m.seed == seed and m.role != "control"}
        twins = [m.point for m in measured if (m.seed, m.role) == (seed, "control") and m.point.step == step]
        before = max((n for n in chain if n < step), default=None)
        twin = next((point.accuracy for point in twins if point.control == WITHOUT_TEACHER), None)
        if before is None or step not in chain or twin is None or KEPT in _remarks(chain[step]):
            continue
        teacher, distilled = chain[before].accuracy, chain[step].accuracy
        if teacher is not None and distilled is not None:
            yield teacher, twin, distilled
