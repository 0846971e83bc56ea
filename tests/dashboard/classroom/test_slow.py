"""Guessing takes long, however many guesses are sent at once; an honest mistake costs nothing."""

from __future__ import annotations

import asyncio

from dashboard.classroom.slow import AT_ONCE, FIRST, FORGOTTEN, FREE, LONGEST, MOST_CLIENTS, Slow
from tests.loops import in_a_loop


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def test_a_thousand_guesses_one_after_another() -> None:
    time = Time()
    slow = Slow(time.clock, time.sleep)

    async def guess() -> None:
        for _ in range(1000):
            await slow.wrong("a")

    in_a_loop(guess())
    assert time.slept[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert max(time.slept) == LONGEST
    assert time.now - 1000 > 3900, "more than an hour"


def test_a_thousand_guesses_at_once_are_mostly_not_even_compared() -> None:
    gate, compared = asyncio.Event(), 0

    async def wait(seconds: float) -> None:
        await gate.wait()

    async def main() -> None:
        nonlocal compared
        slow = Slow(sleep=wait)

        async def one() -> None:
            nonlocal compared
            if not slow.is_crowded("a"):
                compared += 1
                await slow.wrong("a")

        guesses = [asyncio.create_task(one()) for _ in range(1000)]
        await asyncio.sleep(0.01)
        assert not slow.is_crowded("b"), "another client is not concerned"
        gate.set()
        await asyncio.gather(*guesses)
        assert not slow.is_crowded("a")

    in_a_loop(main())
    assert compared == FREE + AT_ONCE


def test_a_mistake_is_answered_at_once_and_forgotten() -> None:
    time = Time()
    slow = Slow(time.clock, time.sleep)

    async def err(times: int) -> None:
        for _ in range(times):
            await slow.wrong("a")

    in_a_loop(err(FREE))
    assert time.slept == []
    time.now += FORGOTTEN + 1
    in_a_loop(err(FREE))
    assert time.slept == []


def test_many_clients_take_no_more_memory() -> None:
    time = Time()
    slow = Slow(time.clock, time.sleep)

    async def come() -> None:
        for number in range(2 * MOST_CLIENTS):
            await slow.wrong(str(number))

    in_a_loop(come())
    assert len(slow._clients) == MOST_CLIENTS
