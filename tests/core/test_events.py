"""Every event survives its line; an altered line is noticed; what is not finite is refused."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import (
    AnyEvent,
    ArtifactSaved,
    DataLoaded,
    Measured,
    Progress,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunPaused,
    RunQueued,
    RunResumed,
    RunStalled,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
    parse,
)
from core.points import Latency, Point
from core.statistics.chance import Chance

LATENCY = Latency(runtime="onnxruntime", device="cpu", threads=1, batch=1, n=50, p50=1.5, p95=2.0, noisy=False)
POINT = Point(step=1, stage="prune", method="l2", name="pruned", accuracy=0.9, bytes=10, latency_ms=LATENCY)
ONE_OF_EACH: list[AnyEvent] = [
    RunQueued(),
    RunStarted(12, {"torch": "2.11"}),
    DataLoaded(Chance(classes=4, test=0.5, validation=0.25)),
    StepStarted(0, "transfer", "linear_probe", "probe", 3, reused="abc"),
    Progress(0, 1, "training", 0, 3, 5, 10, loss=0.5, eta_seconds=3.0),
    Measured("point", 0, POINT),
    ArtifactSaved(0, "artifacts/a.onnx", 10, "ff"),
    Warned(None, "student_larger", "the student is larger than its teacher"),
    StepFinished(0, 1.5),
    RunPaused("asked for"),
    RunResumed(),
    RunStalled(120.0),
    RunFinished(),
    RunCancelled(),
    RunFailed({"code": "wrong", "message": "“[x]” \n"}, "Traceback\n  …"),
    RunInterrupted("killed"),
]


def test_there_is_one_of_each() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(get_args(AnyEvent))


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_an_event_survives_its_line(event: AnyEvent) -> None:
    line = event.to_line()
    assert "\n" not in line
    assert parse(line) == event
    assert json.loads(line)["event"] == type(event).__name__


@given(st.text(st.characters(codec=None)), st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**40))
def test_any_text_and_number_survive(text: str, number: float, seq: int) -> None:
    event = RunFailed({"message": text}, text, seq=seq, time=number)
    assert parse(event.to_line()) == event
    assert event.details == text.encode(errors="replace").decode(), "what is not Unicode is told with question marks"


@given(st.data())
def test_every_altered_line_is_noticed(data: st.DataObject) -> None:
    line = Measured("point", 0, POINT, seq=7, time=1.0).to_line()
    at = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != line[at]))
    with pytest.raises(ValueError):
        parse(line[:at] + other + line[at + 1 :])
    with pytest.raises(ValueError):
        parse(line[:at])


def test_what_was_not_measured_is_absent() -> None:
    point = json.loads(Measured("point", 0, POINT).to_line())["point"]
    assert point["latency_ms"]["p50"] == 1.5
    assert "macs" not in point
    assert "macs" not in POINT.to_json()
    assert POINT.to_json()["latency_ms"]["noisy"] is False


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), "0.5"])
def test_only_finite_numbers_are_told(loss: float) -> None:
    with pytest.raises(ValueError):
        Progress(0, 0, "training", 0, 1, 0, 1, loss=loss)
    with pytest.raises(ValueError):
        Point(step=0, stage="a", method="b", name="c", accuracy=loss)


def test_events_are_frozen_and_the_set_is_closed() -> None:
    with pytest.raises(AttributeError):
        ONE_OF_EACH[1].pid = 3  # type: ignore[union-attr,misc]
    with pytest.raises(ValueError):
        Progress(0, 0, "dreaming", 0, 1, 0, 1)  # type: ignore[arg-type]


def test_the_spread_over_seeds_is_the_sample_deviation() -> None:
    others = [POINT.model_copy(update={"accuracy": share, "validation_accuracy": share + 0.1}) for share in (0.8, 0.7)]
    own = POINT.model_copy(update={"accuracy": 0.9, "validation_accuracy": 0.7})
    spread = own.with_replicas(others)
    assert spread.accuracy == 0.9, "that of the file stays"
    assert spread.accuracy_mean == spread.middle == pytest.approx(0.8)
    assert spread.accuracy_sd == pytest.approx(0.1)
    assert spread.whiskers == pytest.approx((0.7, 0.9))
    assert spread.judged == pytest.approx(0.8)
    assert spread.seeds == 3
    assert own.middle == 0.9
    assert own.whiskers == (own.accuracy_low, own.accuracy_high)
    assert POINT.with_replicas(()) == POINT
