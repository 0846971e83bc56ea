"""Gap recovered = (distilled − twin) / (teacher − twin), over the seeds that have all three."""

from __future__ import annotations

import pytest
from scipy.stats import t, ttest_1samp

from core.controls import RANDOM_PRUNING, WITHOUT_TEACHER
from core.events import Measured, Role
from core.gap import STUDENT, gap_recovered
from core.points import Point
from core.state import fold
from core.terminal import gap_line


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


def test_one_seed() -> None:
    found = gap_recovered(trio(0, 0.9, 0.7, 0.75), 2)
    assert found is not None
    assert found["share"] == pytest.approx(0.25)
    assert found["gain"] == pytest.approx(0.05)
    assert (found["teacher"], found["twin"], found["distilled"], found["seeds"]) == (0.9, 0.7, 0.75, 1)
    assert not {"low", "high", "gain_low", "gain_high"} & set(found), "one seed has no interval"


def test_several_seeds_have_an_interval() -> None:
    gains = [0.05, 0.01, -0.02]
    events = [m for seed, gain in enumerate(gains) for m in trio(seed, 0.9, 0.7 + seed / 100, 0.7 + seed / 100 + gain)]
    found = gap_recovered(events, 2)
    assert found is not None
    expected = ttest_1samp(gains, 0).confidence_interval(0.95)
    lead = 0.9 - 0.71
    assert found["seeds"] == 3
    assert [found["gain_low"], found["gain_high"]] == pytest.approx(list(expected), rel=1e-3)
    assert [found["low"], found["high"]] == pytest.approx([expected.low / lead, expected.high / lead], rel=1e-3)
    assert found["share"] == pytest.approx(sum(gains) / 3 / lead)


def test_the_quantiles_are_students() -> None:
    assert list(STUDENT) == pytest.approx([t.ppf(0.975, n) for n in range(1, 10)], abs=1e-3)


def test_a_worse_student_recovers_less_than_nothing() -> None:
    found = gap_recovered(trio(0, 0.9, 0.7, 0.65), 2)
    assert found is not None
    assert found["share"] == pytest.approx(-0.25)


def test_without_a_lead_there_is_no_gap() -> None:
    found = gap_recovered(trio(0, 0.7, 0.7, 0.75), 2)
    assert found is not None
    assert "share" not in found
    assert "no gap" in gap_line(fold(trio(0, 0.7, 0.7, 0.75)).points[1])


def test_without_a_twin_nothing_is_said() -> None:
    assert gap_recovered(trio(0, 0.9, 0.7, 0.75)[:2], 2) is None
    assert gap_recovered(trio(0, 0.9, 0.7, 0.75), 0) is None
    assert gap_recovered(trio(0, 0.9, 0.7, 0.75)[1:], 2) is None, "no teacher was measured"


def test_it_is_told_with_the_point() -> None:
    teacher, student = fold([m for seed in (0, 1) for m in trio(seed, 0.9, 0.7, 0.75)]).points
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
    assert found["share"] == pytest.approx(0.25)
