"""The server knows what the teacher shows, and stops saying so when the teacher has gone."""

from __future__ import annotations

from dashboard.classroom.showing import SILENT, Screen


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_slide_is_shown_until_the_page_is_silent() -> None:
    clock = Clock()
    screen = Screen(clock)
    assert screen.now() is None
    screen.show("pruning", 0, "s")
    clock.now += SILENT - 1
    found = screen.now()
    assert found is not None
    assert (found.lesson, found.place, found.since) == ("pruning", 0, 1000.0)
    screen.show("pruning", None, "s")
    clock.now += SILENT - 1
    found = screen.now()
    assert found is not None, "it was heard of meanwhile"
    assert (found.place, found.since) == (None, 1000.0)
    clock.now += 1
    assert screen.now() is None


def test_what_was_told_stays_told_until_the_lesson_is_shown_anew() -> None:
    clock = Clock()
    screen = Screen(clock)
    screen.tell(0)
    assert screen.now() is None, "nothing is shown"
    screen.show("pruning", 0, "s")
    clock.now += 5
    screen.tell(0)
    clock.now += 5
    screen.tell(0)
    screen.show("pruning", 1, "s")
    found = screen.show("pruning", 0, "s")
    assert found.told == {0: 1005.0}, "the first time counts"
    assert screen.show("quantization", 0, "s").told == {}
    screen.leave("s")
    assert screen.show("pruning", 0, "s").told == {}


def test_only_the_session_that_shows_it_ends_it() -> None:
    screen = Screen(Clock())
    screen.show("pruning", 0, "s")
    screen.leave("another tab of the teacher's")
    assert screen.now() is not None
    screen.leave("s")
    assert screen.now() is None
