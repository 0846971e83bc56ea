"""References, conditions and placeholders: what they read, and what they come to."""

from __future__ import annotations

import pytest

from core.lessons.references import Reference, condition, filled, in_runs, mean_of, measures, reference, timed_under
from core.points import Latency, Point
from core.runs import RunSummary, Status

LATENCY = Latency(runtime="onnxruntime", device="cpu", threads=1, batch=1, n=9, p50=0.25, p95=0.3, noisy=False)


def summary(accuracy: float, params: int = 1000) -> RunSummary:
    points = (
        Point(step=0, stage="transfer", method="linear_probe", name="a", accuracy=0.9, params=4000, bytes=16_000),
        Point(
            step=1,
            stage="prune",
            method="l2",
            name="b",
            accuracy=accuracy,
            params=params,
            bytes=4_000,
            latency_ms=LATENCY,
            receipt={"recall": {"3": 0.75}, "same_answer_as_before": 0.5},
        ),
    )
    control = Point(step=1, stage="prune", method="l2", name="c", control="random_pruning", accuracy=0.4)
    return RunSummary(id="x", name="x", status=Status.FINISHED, points=points, controls=(control,))


LOOK = in_runs({"cut[0.5]": summary(0.85), "other": summary(0.5)})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("cut[0.5].prune.accuracy", 0.85),
        ("cut[0.50].1.accuracy", 0.85),
        ("cut[0.5].last.params", 1000),
        ("other.transfer.bytes", 16_000),
        ("other.prune/random_pruning.accuracy", 0.4),
        ("other.prune.latency", 0.25),
        ("other.prune.omitted_recall", 0.75),
        ("other.prune.agreement", 0.5),
        ("other.transfer.latency", None),
        ("other.distill.accuracy", None),
        ("missing.prune.accuracy", None),
    ],
)
def test_a_reference_is_looked_up(text: str, value: float | None) -> None:
    assert LOOK(reference(text)) == value


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.prune.beauty", "picture.top", "picture[0].top", "a..accuracy", "a b.c"]
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        reference(text)


def test_a_picture_has_a_temperature() -> None:
    found = reference("picture[4.0].top")
    assert found == Reference("picture[4]", "", "top")
    assert found.temperature == 4.0


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("cut[0.5].prune.accuracy < 0.9", True),
        ("cut[0.5].prune.accuracy > other.prune.accuracy + 0.2", True),
        ("cut[0.5].prune.accuracy > other.prune.accuracy + 0.4", False),
        ("other.transfer.params >= 4 * other.prune.params", True),
        ("other.transfer.params > 4 * other.prune.params", False),
        ("other.prune.accuracy <= other.transfer.accuracy - 0.4", True),
        ("other.transfer.latency < 1", None),
    ],
)
def test_a_condition_compares(text: str, holds: bool | None) -> None:
    assert condition(text).holds(LOOK) is holds


@pytest.mark.parametrize(
    "text",
    [
        "0.1 < 0.2",
        "other.prune.accuracy",
        "other.prune.accuracy == 1",
        "other.prune.accuracy > other.prune.bytes",
        "__import__('os') < 1",
        "other.prune.accuracy < 2 ** 9",
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        condition(text)


def test_placeholders_are_written_as_on_every_page() -> None:
    text = "{cut[0.5].prune.accuracy} of {other.transfer.bytes}, {other.transfer.params / other.prune.params} times"
    assert filled(text, LOOK) == "85.0 % of 16.0 kB, 4 times"
    assert filled("{cut[0.5].prune.accuracy - other.prune.accuracy}", LOOK) == "35.0"
    assert filled("{other.prune.accuracy - cut[0.5].prune.accuracy}", LOOK) == "\u221235.0", "a loss is no gain"
    assert filled("{other.prune.accuracy - other.prune.accuracy}", LOOK) == "0.0"
    assert filled("{other.transfer.latency} {other.prune.latency}", LOOK) == "– 0.25 ms"
    with pytest.raises(ValueError, match="different kinds"):
        measures("{other.prune.accuracy - other.prune.bytes}")


def test_the_mean_needs_every_seed() -> None:
    seeds = [in_runs({"a": summary(share)}) for share in (0.2, 0.4, 0.9)]
    wanted = reference("a.prune.accuracy")
    assert mean_of(seeds)(wanted) == pytest.approx(0.5)
    assert mean_of([*seeds, in_runs({})])(wanted) is None


def test_latencies_say_which_processors_they_were_measured_on() -> None:
    runs = {
        "one": summary(0.8).model_copy(update={"environment": {"processor": "Slow CPU"}}),
        "two": summary(0.9).model_copy(update={"environment": {"processor": "Fast CPU"}}),
    }
    name = next(point.stage for point in runs["one"].points if point.latency_ms)
    timed = condition(f"one.{name}.latency > two.{name}.latency")
    assert {found.processor for found in timed_under([timed], runs)} == {"Slow CPU", "Fast CPU"}
    assert timed_under([condition(f"one.{name}.accuracy > two.{name}.accuracy")], runs) == set()
