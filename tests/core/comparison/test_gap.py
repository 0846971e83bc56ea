"""Gap recovered = (distilled − twin) / (teacher − twin), where both differences are more than chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scipy.stats import t, ttest_1samp

from core.commands.terminal import gap_line
from core.comparison.difference import Paired, difference
from core.comparison.gap import KEPT, gap_recovered, in_run, judged, no_share
from core.controls import RANDOM_PRUNING, WITHOUT_TEACHER
from core.events import Measured, Role
from core.points import Point
from core.state import fold
from core.statistics.intervals import STUDENT, student


def measured(role: Role, seed: int, step: int, accuracy: float, control: str | None = None) -> Measured:
    name = control or "x"
    point = Point(step=step, stage="distill", method="kd", name=name, control=control, accuracy=accuracy)
    return Measured(role, seed, point)


def trio(seed: int, teacher: float, twin: float, distilled: float) -> list[Measured]:
    role: Role = "replica" if seed else "point"
    return [
        measured(role, seed, 0, teacher),
        measured(role, seed, 2, distilled),
        measured("control", seed, 2, twin, WITHOUT_TEACHER),
        measured("control", seed, 2, 0.1, RANDOM_PRUNING),
    ]


def seen(
    events: list[Measured], counts: Callable[[Point, Point], Paired | None] = lambda one, other: None
) -> dict[str, Any]:
    """The judged receipt of the student."""
    state = fold(events)
    found = judged(state.points, state.controls, counts)[1].receipt["gap_recovered"]
    assert isinstance(found, dict)
    return found


def by_images(lead: Paired | None, gain: Paired | None) -> Callable[[Point, Point], Paired | None]:
    """Answers of one seed: of the teacher (step 0) and of the student, each beside the twin."""
    return lambda one, other: lead if one.step == 0 else gain


SURE, OPEN = Paired(40, 5), Paired(12, 10)


def test_one_seed() -> None:
    found = gap_recovered(trio(0, 0.9, 0.7, 0.75), 2)
    assert found is not None
    assert found["gain"] == pytest.approx(0.05)
    assert found["lead"] == pytest.approx(0.2)
    assert (found["teacher"], found["twin"], found["distilled"], found["seeds"]) == (0.9, 0.7, 0.75, 1)
    assert not {"share", "low", "high", "gain_low", "gain_high"} & set(found), "one seed has no interval, nor a verdict"


def test_a_share_is_told_where_lead_and_gain_are_more_than_chance() -> None:
    found = seen(trio(0, 0.9, 0.7, 0.75), by_images(SURE, SURE))
    assert (found["share"], found["lead_basis"], found["gain_basis"]) == (pytest.approx(0.25), "images", "images")
    assert no_share(found) == ""


@pytest.mark.parametrize(
    ("lead", "gain", "why"),
    [(OPEN, SURE, "lead_open"), (SURE, OPEN, "gain_open"), (None, SURE, "lead_unknown"), (SURE, None, "gain_unknown")],
)
def test_no_share_of_what_may_be_chance(lead: Paired | None, gain: Paired | None, why: str) -> None:
    found = seen(trio(0, 0.712, 0.7, 0.705), by_images(lead, gain))
    assert "share" not in found
    assert no_share(found) == why
    numbers = [found[name] for name in ("teacher", "twin", "distilled", "lead", "gain")]
    assert numbers == pytest.approx([0.712, 0.7, 0.705, 0.012, 0.005]), "the numbers themselves stay"


def test_a_share_that_an_earlier_version_stored_is_judged_anew() -> None:
    teacher, student = fold(trio(0, 0.712, 0.7, 0.72)).points
    gap = {"teacher": 0.712, "twin": 0.7, "distilled": 0.72, "gain": 0.02, "seeds": 1, "share": 1.67, "low": 1.0}
    old = student.model_copy(update={"receipt": {"gap_recovered": gap}})
    controls = fold(trio(0, 0.712, 0.7, 0.72)).controls
    found = judged((teacher, old), controls, by_images(OPEN, SURE))[1]
    assert not {"share", "low"} & set(found.receipt["gap_recovered"])  # type: ignore[arg-type]
    assert "the teacher's lead of 1.2 points is within chance (no proven difference, tested on" in gap_line(found)
    assert "of the gap recovered" not in gap_line(old), "nor is it believed unjudged"


def test_several_seeds_have_an_interval() -> None:
    gains = [0.05, 0.04, 0.055]
    events = [m for seed, gain in enumerate(gains) for m in trio(seed, 0.9, 0.7 + seed / 100, 0.7 + seed / 100 + gain)]
    found = seen(events)
    expected = ttest_1samp(gains, 0).confidence_interval(0.95)
    lead = 0.9 - 0.71
    assert (found["seeds"], found["gain_basis"], found["lead_basis"]) == (3, "seeds", "seeds")
    assert [found["gain_low"], found["gain_high"]] == pytest.approx(list(expected), rel=1e-3)
    assert [found["low"], found["high"]] == pytest.approx([expected.low / lead, expected.high / lead], rel=1e-3)
    assert found["share"] == pytest.approx(sum(gains) / 3 / lead)


def test_a_gain_within_the_spread_over_seeds_has_no_share() -> None:
    gains = [0.05, 0.01, -0.02]
    events = [m for seed, gain in enumerate(gains) for m in trio(seed, 0.9, 0.7 + seed / 100, 0.7 + seed / 100 + gain)]
    found = seen(events, by_images(SURE, SURE))
    assert (no_share(found), found["gain_basis"], found["lead_proven"]) == ("gain_open", "seeds", True)
    assert "the gain of 1.3 points is within chance (within the spread over 3 seeds" in gap_line(student_of(events))


def student_of(events: list[Measured]) -> Point:
    state = fold(events)
    return judged(state.points, state.controls, lambda one, other: None)[1]


def test_the_gain_is_the_same_from_both_sides() -> None:
    gains = [0.05, 0.04, 0.055]
    state = fold([m for seed, g in enumerate(gains) for m in trio(seed, 0.9, 0.7 + seed / 50, 0.7 + seed / 50 + g)])
    student, twin = state.points[1], state.controls[0]
    one, other = (in_run(*pair, lambda one, other: None) for pair in ((student, twin), (twin, student)))
    assert one is not None
    assert other is not None
    assert (one.share, one.proven, one.basis) == (-other.share, other.proven, other.basis)
    assert (one.proven, one.basis) == (True, "seeds"), "seed by seed; the two means lie within their own spread"
    unpaired = difference(student, twin)
    assert unpaired is not None
    assert not unpaired.proven


def test_seeds_that_all_gained_the_same_prove_nothing() -> None:
    found = seen([m for seed in (0, 1) for m in trio(seed, 0.9, 0.7, 0.75)], by_images(SURE, OPEN))
    assert (found["gain_proven"], found["gain_basis"]) == (False, "images")


def test_the_quantiles_are_students() -> None:
    assert list(STUDENT) == pytest.approx([t.ppf(0.975, n) for n in range(1, 10)], abs=1e-3)
    assert [student(n) for n in (2, 10, 500)] == pytest.approx([12.706, 2.262, t.ppf(0.975, 499)], abs=6e-3)


def test_a_verdict_on_other_seeds_is_none_on_these() -> None:
    """The first seed's student stayed below its teacher, which was kept: the gain is the second seed's alone, of which
    no answers are compared."""
    first, second = trio(0, 0.9, 0.7, 0.9), trio(1, 0.9, 0.72, 0.74)
    student = first[1].point.model_copy(update={"receipt": {"remarks": [KEPT]}})
    found = seen([first[0], Measured("point", 0, student), *first[2:], *second], by_images(SURE, SURE))
    assert (found["seeds"], found["gain"]) == (1, pytest.approx(0.02))
    assert "gain_proven" not in found
    assert "share" not in found
    assert no_share(found) == "lead_unknown"


def test_a_worse_student_recovers_less_than_nothing() -> None:
    assert seen(trio(0, 0.9, 0.7, 0.65), by_images(SURE, Paired(5, 40)))["share"] == pytest.approx(-0.25)


def test_without_a_lead_there_is_no_gap() -> None:
    found = seen(trio(0, 0.7, 0.7, 0.75), by_images(SURE, SURE))
    assert "share" not in found
    assert "no gap" in gap_line(student_of(trio(0, 0.7, 0.7, 0.75)))


def test_without_a_twin_nothing_is_said() -> None:
    assert gap_recovered(trio(0, 0.9, 0.7, 0.75)[:2], 2) is None
    assert gap_recovered(trio(0, 0.9, 0.7, 0.75), 0) is None
    assert gap_recovered(trio(0, 0.9, 0.7, 0.75)[1:], 2) is None, "no teacher was measured"


def test_it_is_told_with_the_point() -> None:
    state = fold([m for seed in (0, 1) for m in trio(seed, 0.9, 0.7, 0.75)])
    teacher, student = judged(state.points, state.controls, by_images(SURE, SURE))
    assert "gap_recovered" not in teacher.receipt
    assert student.receipt["gap_recovered"]["seeds"] == 2  # type: ignore[index, call-overload]
    assert gap_line(teacher) == ""
    assert gap_line(student).startswith("step 2: 25 % of the gap recovered (twin 70.0 %, distilled 75.0 %")


def test_points_stored_before_controls_had_codes_are_read_by_their_names() -> None:
    stored = {"step": 2, "stage": "distill", "method": "kd", "accuracy": 0.7}
    twin = Point.model_validate({**stored, "name": "twin without a teacher"})
    student = Point.model_validate({**stored, "name": "resnet8 · Knowledge distillation"})
    assert (twin.control, twin.backbone) == (WITHOUT_TEACHER, None)
    assert (student.control, student.backbone) == (None, "resnet8")
    found = gap_recovered([*trio(0, 0.9, 0.7, 0.75)[:2], Measured("control", 0, twin)], 2)
    assert found is not None
    assert found["twin"] == 0.7
