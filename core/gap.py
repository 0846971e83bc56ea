"""What a teacher was worth: the share of its lead over the student's twin that the student made up."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean, stdev

from pydantic import JsonValue

from core.controls import WITHOUT_TEACHER
from core.events import Measured
from core.points import Point

KEPT = "kept_incoming"  # the remark of a step whose training gave nothing better than what there was
# two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom; a recipe has at most ten seeds
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def gap_recovered(measured: Iterable[Measured], step: int) -> dict[str, JsonValue] | None:
    """Of the distilled student of `step`: mean test accuracies of `teacher`, `twin` and `distilled` over the `seeds`
    that have all three, `gain` = distilled − twin, and `share` = gain / (teacher − twin).

    `share` is absent where the teacher is no better than the twin: there is no gap. From two seeds on `gain_low` and
    `gain_high` bound the gain at 95 % (Student's t on the differences, seed by seed), and `low` and `high` the share,
    the teacher's lead taken as it was measured. None where there is no such twin, and of a seed whose student stayed
    below a teacher that was then kept in its place: the step's model is the teacher, and recovered no gap.
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
    """(teacher, twin, distilled) of each seed that has all three; the teacher is the model the step began with."""
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
