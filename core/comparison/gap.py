"""The gain from a teacher: how much of the gap between the teacher and a student without one was recovered.

The numbers are folded from the events; whether they are more than chance is judged where the run's files are at hand. A
share of a lead that may be zero is no number: it is there only where lead and gain are both more than chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from pydantic import JsonValue

from core.comparison.difference import SAME, Difference, Pairing, difference
from core.controls import WITHOUT_TEACHER
from core.events import Measured
from core.points import Point
from core.statistics.intervals import STUDENT, student

KEPT = "kept_incoming"  # the remark of a step whose training did not improve the incoming model
KEPT_WITHIN = "kept_within"  # of one in which training, or a part of it, did not improve what the step had made before
GAP = "gap_recovered"  # in a receipt
SHARE = ("share", "low", "high")


def gap_recovered(measured: Iterable[Measured], step: int) -> dict[str, JsonValue] | None:
    """Of the distilled student of `step`: mean test accuracies of `teacher`, `twin` and `distilled` over the `seeds`
    that have all three, `gain` = distilled − twin, and `lead` = teacher − twin.

    The twin is the same student without a teacher. With two or more seeds `gain_low` and `gain_high` are the 95 %
    interval of the gain (Student's t on the differences, seed by seed). None if there is no twin. Seeds whose student
    stayed below the teacher, which was then kept, do not count.
    """
    trios = list(_trios(list(measured), step))
    if not trios:
        return None
    teacher, twin, distilled = (fmean(column) for column in zip(*trios, strict=True))
    gain = distilled - twin
    found: dict[str, JsonValue] = {
        "teacher": teacher,
        "twin": twin,
        "distilled": distilled,
        "gain": gain,
        "lead": teacher - twin,
        "seeds": len(trios),
    }
    if 1 < len(trios) <= len(STUDENT) + 1:
        half = student(len(trios)) * stdev(d - t for _, t, d in trios) / len(trios) ** 0.5
        found |= {"gain_low": gain - half, "gain_high": gain + half}
    return found


def judged(points: Sequence[Point], controls: Sequence[Point], pairing: Pairing) -> tuple[Point, ...]:
    """The points of a run with the verdict about each gain from a teacher in the receipt: `gain_proven` and
    `lead_proven`, each with its `_basis` as in `core.comparison.difference`, and where both are proven and the teacher
    leads `share` = gain / lead, with `low` and `high`, the ends of the gain's interval over the measured lead. Numbers
    of other seeds than those that were judged have no verdict."""
    return tuple(_judged(point, points, controls, pairing) for point in points)


def no_share(gap: Mapping[str, Any]) -> str:
    """Why a judged gain has no share of the teacher's lead: `no_lead` (the teacher is not ahead), `lead_open` or
    `gain_open` (it is not proven to be more than chance), `lead_unknown` or `gain_unknown` (that cannot be judged);
    empty where it has one."""
    if gap["teacher"] <= gap["twin"]:
        return "no_lead"
    for name in ("lead", "gain"):
        if not (proven := gap.get(f"{name}_proven")):
            return f"{name}_{'unknown' if proven is None else 'open'}"
    return ""


def verdict_on(gap: Mapping[str, Any], name: str) -> Difference:
    """The `lead` or `gain` of a judged receipt as a difference with its verdict."""
    number = gap["teacher" if name == "lead" else "distilled"] - gap["twin"]
    return Difference(number, gap.get(f"{name}_proven"), gap.get(f"{name}_basis", ""), gap["seeds"])


def in_run(one: Point, other: Point, pairing: Pairing) -> Difference | None:
    """The difference of two points of one run: of a student and its twin seed by seed where there are several seeds,
    of any others as `core.comparison.difference` has it."""
    if _is_twin(other, one) and (gain := _gain_by_seeds(one)) is not None:
        return gain
    if _is_twin(one, other) and (gain := _gain_by_seeds(other)) is not None:
        return Difference(-gain.share, gain.proven, gain.basis, gain.seeds)
    return difference(one, other, pairing)


def _judged(point: Point, points: Sequence[Point], controls: Sequence[Point], pairing: Pairing) -> Point:
    gap = point.receipt.get(GAP)
    twin = next((control for control in controls if _is_twin(control, point)), None)
    teacher = max((one for one in points if one.step < point.step), key=lambda one: one.step, default=None)
    if not isinstance(gap, dict) or twin is None or teacher is None:
        return point
    numbers = {name: value for name, value in gap.items() if name not in SHARE}  # earlier versions stored the share
    verdicts = {"gain": in_run(point, twin, pairing), "lead": difference(teacher, twin, pairing)}
    for name, found in verdicts.items():
        if found is not None and found.basis and abs(found.share - verdict_on(gap, name).share) < SAME:
            numbers |= {f"{name}_proven": found.proven, f"{name}_basis": found.basis}
    told = {**numbers, **_share(numbers)}
    return point.model_copy(update={"receipt": {**point.receipt, GAP: told}})


def _share(gap: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The lead, and the share of it where both differences carry one."""
    teacher, twin, distilled = (_number(gap[name]) for name in ("teacher", "twin", "distilled"))
    lead = teacher - twin
    if not gap.get("gain_proven") or not gap.get("lead_proven") or lead <= 0:
        return {"lead": lead}
    ends = {name: _number(gap[f"gain_{name}"]) / lead for name in ("low", "high") if f"gain_{name}" in gap}
    return {"lead": lead, "share": (distilled - twin) / lead, **ends}


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _is_twin(control: Point, of: Point) -> bool:
    return (control.control, control.step, of.control) == (WITHOUT_TEACHER, of.step, None)


def _gain_by_seeds(point: Point) -> Difference | None:
    """The gain that a student's receipt has; None without an interval, or where all seeds gained the same."""
    gap = point.receipt.get(GAP)
    if not isinstance(gap, dict) or "gain_low" not in gap:
        return None
    gain, low, high, seeds = (_number(gap[name]) for name in ("gain", "gain_low", "gain_high", "seeds"))
    if high - low < SAME:
        return None
    return Difference(gain, low > 0 or high < 0, "seeds", int(seeds))


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
