"""Of two latencies there is one ratio: that of timing both in turns, else that of the medians with their noise."""

from __future__ import annotations

from typing import Any

import pytest

from core.comparison.closing import closing
from core.comparison.closing_words import sentence
from core.comparison.speed import Conditions, Speed, conditions, in_turns, speed, unlike
from core.controls import WITHOUT_TEACHER
from core.points import Latency, Point
from core.run_files.samples import samples
from core.state import Status

STAGES = ("transfer", "distill", "prune", "quantize")


def point(step: int, p50: float, size: int = 1000, control: str | None = None, **receipt: Any) -> Point:
    latency = Latency(
        runtime="onnxruntime", device="cpu", threads=1, batch=1, n=50, p50=p50, p95=1.02 * p50, noisy=False, apart=0.01
    )
    return Point(
        step=step,
        stage=STAGES[step],
        method="m",
        name=control or f"step {step}",
        control=control,
        bytes=size,
        accuracy=0.8,
        accuracy_low=0.7,
        accuracy_high=0.9,
        validation_accuracy=0.8,
        latency_ms=latency,
        receipt=receipt,
    )


def turns(name: str, before: int, **told: Any) -> dict[str, Any]:
    """A receipt's comparison with a file of so many bytes."""
    return {f"bytes_{name}": {"before": before, "after": 1, "times_smaller": 1.0}, f"latency_{name}": told}


FIRST = point(0, 4.0, 9000)
SECOND = point(1, 2.0, 3000, **turns("first", 9000, speedup=2.2, low=2.1, high=2.4))
THIRD = point(
    2, 1.0, 1000, **turns("first", 9000, speedup=4.5), **turns("before", 3000, withheld="the machine was busy")
)
CHAIN = (FIRST, SECOND, THIRD)


def test_files_timed_in_turns_have_the_ratio_of_that() -> None:
    assert speed(FIRST, SECOND, CHAIN) == Speed(2.2, in_turns=True, low=2.1, high=2.4)
    assert speed(FIRST, THIRD, CHAIN) == Speed(4.5, in_turns=True)
    assert speed(SECOND, THIRD, CHAIN) == Speed(withheld="noisy", in_turns=True)


def test_the_other_way_round_it_is_the_inverse() -> None:
    back = speed(SECOND, FIRST, CHAIN)
    assert back is not None
    assert (back.times, back.low, back.high) == pytest.approx((1 / 2.2, 1 / 2.4, 1 / 2.1))
    assert (back.in_turns, back.basis) == (True, "turns")


def test_the_conclusion_tells_it_with_its_spread() -> None:
    told = sentence(closing(CHAIN[:2], (), Status.FINISHED))
    assert "2.2 times faster than" in told
    assert "(timed in turns: 2.1 to 2.4 times as fast in the middle half of them)" in told


def test_files_not_timed_in_turns_have_that_of_the_medians_with_the_noise_of_both() -> None:
    bare = [each.model_copy(update={"receipt": {}}) for each in CHAIN]
    found = speed(bare[0], bare[2], bare)
    assert found is not None
    assert (found.times, found.basis) == (4.0, "medians")
    assert (found.low, found.high) == pytest.approx((4 / 1.01**2, 4 * 1.01**2))
    assert "by the medians of two timings, not in turns: 3.9 to 4.1 times as fast" in sentence(
        closing(bare, (), Status.FINISHED)
    )
    latency = bare[2].latency_ms
    assert latency is not None
    older = bare[2].model_copy(update={"latency_ms": latency.model_copy(update={"apart": None})})
    assert speed(bare[0], older, bare) == Speed(4.0)


def test_a_receipt_about_another_file_says_nothing_of_this_one() -> None:
    """The run's log lost its first point: the second is not what the third was timed with."""
    assert {other.step: found for other, found in in_turns(THIRD, CHAIN[1:])} == {
        1: Speed(withheld="noisy", in_turns=True)
    }
    alone = THIRD.model_copy(update={"receipt": turns("first", 9000, speedup=4.5)})
    assert list(in_turns(alone, (SECOND, alone))) == []


def test_a_control_was_timed_with_its_steps_own_model() -> None:
    twin = point(1, 2.0, 3000, WITHOUT_TEACHER, **turns("before", 3000, speedup=1.1))
    assert speed(SECOND, twin, CHAIN) == Speed(1.1, in_turns=True)
    compared = speed(FIRST, twin, CHAIN)
    assert compared is not None
    assert compared.basis == "medians"


def test_a_float_twin_is_the_last_model_that_is_no_quantized_form() -> None:
    eight = point(2, 1.5, 800, **turns("fp32", 3000, speedup=1.5))
    four = point(3, 1.9, 400, **turns("fp32", 3000, speedup=1.05))
    assert speed(SECOND, four, (FIRST, SECOND, eight, four)) == Speed(1.05, in_turns=True)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"threads": 2}, "the number of threads"),
        ({"runtime": "openvino"}, "the runtime"),
        ({"device": "gpu"}, "the device"),
        ({"processor": "Slow CPU"}, "the processor"),
        ({"onnxruntime": "1.22.0"}, "the version of the runtime"),
        ({"onnxruntime": "1.22.0", "threads": 2}, "the version of the runtime, the number of threads"),
    ],
)
def test_what_was_timed_otherwise_is_not_compared_and_it_says_in_what(changed: dict[str, Any], named: str) -> None:
    latency = FIRST.latency_ms
    assert latency is not None
    how = {name: value for name, value in changed.items() if name in Latency.model_fields}
    here = {"processor": "Fast CPU", "onnxruntime": "1.23.0"}
    where = here | {name: value for name, value in changed.items() if name not in how}
    first = FIRST.model_copy(update={"latency_ms": latency.model_copy(update=how)}).in_environment(where)
    last = THIRD.model_copy(update={"receipt": {}}).in_environment(here)
    told = sentence(closing((first, last), (), Status.FINISHED))
    assert "faster" not in told.partition(";")[0]
    if "runtime" in changed:
        assert named in told
    else:
        assert f"(speed withheld: they were timed under different conditions: {named})" in told


def test_of_a_run_in_one_environment_nothing_differs() -> None:
    first, last = (each.model_copy(update={"receipt": {}}) for each in (FIRST, THIRD))
    assert unlike(conditions(each, {"processor": "X", "onnxruntime": "1"}) for each in (first, last)) == ()
    assert unlike([]) == unlike([Conditions()]) == ()


def test_stored_runs_have_the_ratio_of_their_receipts() -> None:
    for summary in samples():
        chain = summary.points
        for one in chain[1:]:
            found: Any = one.receipt["latency_first"]
            told = speed(chain[0], one, chain)
            assert told is not None
            assert told.times == found.get("speedup")
