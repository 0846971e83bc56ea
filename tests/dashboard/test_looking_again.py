"""What the Live page, which looks each second, need not do again: charts as before, looks at a silent run, garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from core.events import Progress
from core.state import RunState, Status, StepState
from dashboard.live import pace, panels
from dashboard.live.kept import kept
from dashboard.server import THAW_EVERY, Lasting


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A visit's memory, in the language that it holds."""
    held: dict[str, Any] = {"language": "en"}
    monkeypatch.setattr("dashboard.live.kept.recall", held.get)
    monkeypatch.setattr("dashboard.live.kept.remember", held.__setitem__)
    monkeypatch.setattr("dashboard.live.kept.language", lambda: held["language"])
    return held


def test_a_thing_is_made_anew_only_when_what_it_shows_has_changed(memory: dict[str, Any]) -> None:
    made: list[str] = []

    def make(what: str) -> str:
        made.append(what)
        return what

    for shows, what in ((1, "a"), (1, "b"), (2, "c"), (2, "d"), (1, "e")):
        kept("chart", shows, lambda what=what: make(what))  # type: ignore[misc]
    assert made == ["a", "c", "e"]
    memory["language"] = "zh"
    assert kept("chart", 1, lambda: make("f")) == "f"
    assert kept("another", 1, lambda: make("g")) == "g"


def told(epoch: int, batch: int, validation: float | None, time: float) -> Progress:
    found = Progress(0, 0, "training", epoch, 9, batch, 9, 1.0, 0.5, None, validation)
    return replace(found, time=time)


def test_only_values_that_are_drawn_make_another_chart() -> None:
    judged = (told(0, 3, None, 1.0), told(1, 0, 0.5, 2.0))
    step = StepState(0, "transfer", "fine_tune", "net", 9, 0.0, curve=judged)
    before, more = (
        RunState(steps=(replace(step, curve=curve),)) for curve in (judged, (*judged, told(1, 3, None, 3.0)))
    )
    assert panels.extent(before, everything=False) == panels.extent(more, everything=False)
    assert panels.extent(before, everything=True) != panels.extent(more, everything=True)
    assert panels.extent(more, everything=False)[1] == 2.0, "the newest that is drawn"
    assert panels.extent(RunState(), everything=True) == ((), None)


def test_a_run_that_does_the_same_over_again_makes_another_chart() -> None:
    """Resumed, it replaces its last epoch: as many values, of another time."""
    first, again = (
        RunState(steps=(StepState(0, "transfer", "fine_tune", "net", 9, 0.0, curve=(told(1, 0, 0.5, time),)),))
        for time in (2.0, 7.0)
    )
    assert panels.extent(first, everything=False) != panels.extent(again, everything=False)


def test_a_run_that_tells_something_is_looked_at_each_second_a_silent_one_seldom() -> None:
    going = RunState(status=Status.RUNNING, last_event=100.0)
    assert [pace.of(going, 100.0 + silent) for silent in (0.0, 3.9, 4.1, 900.0)] == [1.0, 1.0, 3.0, 3.0]
    for status in (Status.PAUSED, Status.FINISHED, Status.CANCELLED):
        assert pace.of(replace(going, status=status), 100.0) is None


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


class Garbage:
    """Refers to itself; only the collector finds it."""

    count = 0

    def __init__(self) -> None:
        self.myself = self

    def __del__(self) -> None:
        Garbage.count += 1


@pytest.mark.thorough
@pytest.mark.usefixtures("thawed")
def test_what_stays_is_set_aside_and_looked_at_again_now_and_then() -> None:
    lasting = Lasting()
    held = Garbage()
    lasting.collect(0.0)
    assert gc.get_freeze_count() > 0
    del held
    lasting.collect(1.0)
    before = Garbage.count
    lasting.collect(THAW_EVERY + 1.0)
    assert Garbage.count == before + 1, "a visit that was set aside with the modules goes at last"


@pytest.mark.usefixtures("thawed")
def test_new_garbage_is_collected_at_once() -> None:
    lasting = Lasting()
    lasting.collect(0.0)
    before = Garbage.count
    Garbage()
    lasting.collect(1.0)
    assert Garbage.count == before + 1
