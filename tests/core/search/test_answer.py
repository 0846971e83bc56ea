"""The answer by hand: what to take, what binds, the next cheaper, and what to give up."""

from __future__ import annotations

import re

from core.search.answer import answer, front, score
from core.search.bounds import Bounds, read_bytes, read_milliseconds
from core.search.trial import Progress, Trial, placed
from core.search.words import Voice, sentence


def trial(number: int, accuracy: float, size: int, latency: float | None = 1.0, **more: object) -> Trial:
    return Trial(
        number=number,
        run=f"run-{number}",
        values={"x": number},
        state="finished",
        accuracy=accuracy,
        bytes=size,
        latency=latency,
        **{"teacher": 0.9, **more},
    )


TRIALS = (
    trial(0, 0.90, 200_000),
    trial(1, 0.86, 90_000),
    trial(2, 0.84, 50_000),
    trial(3, 0.88, 95_000, 3.0),
    trial(4, 0.80, 60_000),
    Trial(number=5, run="run-5", values={"x": 5}, state="failed", why="no memory"),
)


def test_the_best_within_the_bounds_with_what_binds_and_the_next_cheaper() -> None:
    found = answer(TRIALS, Bounds(bytes=100_000, latency=2.0), 0.9)
    assert found.recommended is TRIALS[1]
    assert [(each.bound, each.trial.number) for each in found.binding] == [("bytes", 0), ("latency", 3)]
    assert found.cheaper is TRIALS[2]
    assert (found.within, found.measured) == (3, 5)
    told = sentence(found, Bounds(bytes=100_000, latency=2.0), 0.9, Voice())
    assert told == (
        "Take trial 2: 86.0 % on validation, 4 points below the teacher, 90.0 kB, 1 ms. It has x=1. It is the most "
        "accurate of 3 trials within the bounds. The bound on bytes binds: trial 1 is 4 points better, but 200.0 kB. "
        "The bound on latency binds: trial 4 is 2 points better, but 3 ms. The most accurate of the smaller ones: "
        "trial 3 with 50.0 kB, 2 points less. It was chosen on the validation images, where no difference between "
        "trials was tested for chance: run it with 3 seeds to confirm it on the test images."
    )


def test_a_better_trial_that_breaks_two_bounds_is_not_hidden() -> None:
    bounds = Bounds(bytes=100_000, latency=2.0)
    found = answer((TRIALS[1], trial(6, 0.95, 200_000, 3.0)), bounds, 0.9)
    assert found.binding == ()
    told = sentence(found, bounds, 0.9, Voice())
    assert "none of the trials outside them is better" not in told
    assert "No single bound binds: trial 7 is 9 points better, but breaks several (bytes, latency)." in told


def test_trials_that_are_as_good_are_counted() -> None:
    """On few validation images many trials have the same accuracy."""
    same = (trial(0, 0.9, 300), trial(1, 0.9, 200), trial(2, 0.9, 200), trial(3, 0.8, 100), trial(4, 0.85, 200))

    def told(bounds: Bounds) -> str:
        return sentence(answer(same, bounds, 0.9), bounds, 0.9, Voice())

    assert "Take trial 2" in told(Bounds())
    assert "most accurate of 5 trials. 2 other trials are as accurate, and none of them smaller." in told(Bounds())
    assert "1 other trial is as accurate, and none of them smaller." in told(Bounds(bytes=250))
    assert "2 other trials have" not in told(Bounds(drop=20.0)), "the smallest is alone"
    assert "2 other trials have as small a file, and none of them is more accurate." in told(Bounds(drop=6.0))
    assert "as accurate" not in sentence(answer(TRIALS, Bounds(), 0.9), Bounds(), 0.9, Voice())


def test_the_bounds_that_would_be_met_are_met() -> None:
    """60,449 bytes are not within a bound of 60.4 kB, nor 1.2345 ms within 1.23 ms."""
    nearest = trial(0, 0.9, 60_449, 1.2345)
    bounds = Bounds(bytes=60_000, latency=1.0)
    told = sentence(answer((nearest,), bounds, 0.9), bounds, 0.9, Voice())
    amounts = re.fullmatch(r".*with bytes (.*) instead of 60.0 kB, latency (.*) instead of 1 ms\.", told)
    assert amounts is not None
    assert not Bounds(bytes=read_bytes(amounts[1]), latency=read_milliseconds(amounts[2])).excess(nearest, 0.9)


def test_a_difference_below_the_decimals_is_not_told_as_none() -> None:
    told = sentence(answer((trial(0, 0.9, 90), trial(1, 0.8996, 80)), Bounds(), 0.9), Bounds(), 0.9, Voice())
    assert "trial 2 with 80 B, 0.04 points less" in told


def test_with_a_drop_alone_the_smallest_is_taken() -> None:
    found = answer(TRIALS, Bounds(drop=5.0), 0.9)
    assert found.recommended is TRIALS[1]
    assert [(each.bound, each.trial.number) for each in found.binding] == [("drop", 2)]
    assert "40.0 kB smaller" in sentence(found, Bounds(drop=5.0), 0.9, Voice())


def test_where_none_meets_the_bounds_the_nearest_is_told_with_what_to_give_up() -> None:
    bounds = Bounds(bytes=40_000, drop=3.0)
    found = answer(TRIALS, bounds, 0.9)
    assert found.recommended is None
    assert found.nearest is TRIALS[2]  # by 25 % and 100 %; trial 2 by 125 % and a third
    assert [each.bound for each in found.give_up] == ["bytes", "drop"]
    told = sentence(found, bounds, 0.9, Voice())
    assert "None of 5 trials meets the bounds." in told
    assert (
        "It would meet them with bytes 50.0 kB instead of 40.0 kB, accuracy lost 6 points instead of 3 points." in told
    )


def test_without_bounds_the_most_accurate_is_taken_and_nothing_binds() -> None:
    found = answer(TRIALS, Bounds(), 0.9)
    assert found.recommended is TRIALS[0]
    assert found.binding == ()
    assert "binds" not in sentence(found, Bounds(), 0.9, Voice())


def test_nothing_measured_is_said() -> None:
    assert sentence(answer(TRIALS[5:], Bounds(), None), Bounds(), None, Voice()) == "No trial was measured."


def test_the_front_is_by_brute_force_what_no_other_beats() -> None:
    known = TRIALS[:5]
    unbeaten = {
        one.number
        for one in known
        if not any(
            (o.accuracy or 0) >= (one.accuracy or 0) and (o.bytes or 0) <= (one.bytes or 0) and o != one for o in known
        )
    }
    assert {each.number for each in front(known)} == unbeaten == {0, 1, 2, 3}


def test_a_trial_without_a_latency_is_not_compared_where_latency_is_bounded() -> None:
    bare = trial(6, 0.99, 10, None)
    assert answer((bare,), Bounds(latency=1.0), 0.9).recommended is None
    assert answer((bare,), Bounds(), 0.9).recommended is bare


def test_the_study_is_told_that_within_is_better_than_outside() -> None:
    bounds = Bounds(bytes=100_000)
    inside, near, far = (score(each, bounds, 0.9) for each in (TRIALS[4], trial(7, 0.99, 110_000), TRIALS[0]))
    assert inside is not None
    assert near is not None
    assert far is not None
    assert inside > 0 > near > far
    assert score(TRIALS[5], bounds, 0.9) is None


def test_a_loss_is_measured_against_the_best_teacher() -> None:
    now = Progress(trials=(trial(0, 0.8, 1, teacher=0.82), trial(1, 0.8, 1, teacher=0.9)))
    assert now.teacher == 0.9
    assert now.trials[0].lost(now.teacher) == 10


# trials on unlike machines


def timed(number: int, accuracy: float, latency: float, processor: str) -> Trial:
    return trial(number, accuracy, 1000 + number, latency, processor=processor)


def in_turn(*trials: Trial) -> list[Trial]:
    found: list[Trial] = []
    for each in trials:
        found.append(placed(each, found))
    return found


UNLIKE = in_turn(timed(0, 0.8, 1.8, "Slow CPU"), timed(1, 0.85, 3.0, "Slow CPU"), timed(2, 0.9, 1.5, "Fast CPU"))


def test_a_bound_on_latency_judges_the_trials_of_one_kind_of_machine() -> None:
    bounds = Bounds(latency=2.0)
    found = answer(UNLIKE, bounds, None)
    assert found.recommended is not None
    assert found.recommended.number == 0, "1.5 ms on the fast machine say nothing of the slow one"
    assert [t.number for t in found.unlike] == [2]
    assert score(UNLIKE[2], bounds, None) is None
    told = sentence(found, bounds, None, Voice())
    assert "The bound on latency holds for Slow CPU, on which the first trial was timed: 1 trial timed on" in told
    assert "(Fast CPU)" in told


def test_without_such_a_bound_every_trial_is_judged_and_says_where_it_was_timed() -> None:
    found = answer(UNLIKE, Bounds(), None)
    assert found.recommended is not None
    assert found.recommended.number == 2
    told = sentence(found, Bounds(), None, Voice())
    assert "1.5 ms on Fast CPU" in told
    assert "could not be judged" not in told


def test_where_all_were_timed_alike_or_it_is_not_known_nothing_is_left_out() -> None:
    for names in (("Slow CPU",) * 3, ("", "", "")):
        found = in_turn(*(timed(n, 0.8, 1.0, name) for n, name in enumerate(names)))
        assert not any(t.unlike for t in found)
        assert answer(found, Bounds(latency=2.0), None).within == 3


def test_another_version_of_the_runtime_is_no_less_unlike_than_another_machine() -> None:
    older, newer, unknown = (
        timed(n, 0.8, 1.0, "Slow CPU").model_copy(update={"runtime": runtime})
        for n, runtime in enumerate(("onnxruntime 1.22.0", "onnxruntime 1.23.0", ""))
    )
    found = in_turn(older, newer, unknown)
    assert [t.unlike for t in found] == [False, True, False]
    bounds = Bounds(latency=2.0)
    told = sentence(answer(found, bounds, None), bounds, None, Voice())
    assert "holds for Slow CPU (onnxruntime 1.22.0), on which" in told
    assert "(Slow CPU (onnxruntime 1.23.0))" in told


def test_latencies_of_unlike_machines_break_no_tie() -> None:
    same = in_turn(timed(0, 0.8, 1.8, "Slow CPU"), timed(1, 0.8, 1.0, "Fast CPU").model_copy(update={"bytes": 1000}))
    found = answer(same, Bounds(), None).recommended
    assert found is not None
    assert found.number == 0
