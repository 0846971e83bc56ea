"""The answer of a search: which model to take and why, what the next cheaper and the next better would cost, and what
to give up where nothing meets the bounds. Chosen on the validation images alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.search.bounds import Bound, Bounds
from core.search.trial import Trial

BOUNDS: tuple[Bound, ...] = ("bytes", "latency", "drop")


@dataclass(frozen=True)
class Beyond:
    """What breaking one bound alone would give: the trial, and the bound it breaks."""

    bound: Bound
    trial: Trial


@dataclass(frozen=True)
class Together:
    """A trial that is better than the recommended one, and the bounds it breaks: several at once."""

    bounds: tuple[Bound, ...]
    trial: Trial


@dataclass(frozen=True)
class GiveUp:
    """A bound, and what it would have to be for the nearest trial to meet it."""

    bound: Bound
    needed: float


@dataclass(frozen=True)
class Answer:
    """`recommended` is the best trial within the bounds, None where none is; `binding` the bounds without which a
    measured one were better, with the best such trial each; `cheaper` the most accurate of those within the bounds that
    are smaller; `together` the best of those that are better but break several bounds at once; `front` those that no
    other beats in accuracy and bytes, by bytes; `nearest` what breaks the bounds
    least where none meets them, and `give_up` what it breaks. A bound on latency holds for one kind of machine and
    one version of the runtime, `of`: `unlike` are the trials that were timed on another and are not judged. `ties`
    counts the others within the bounds that are as good by the goal alone."""

    recommended: Trial | None = None
    binding: tuple[Beyond, ...] = ()
    cheaper: Trial | None = None
    together: Together | None = None
    front: tuple[Trial, ...] = ()
    nearest: Trial | None = None
    give_up: tuple[GiveUp, ...] = ()
    within: int = 0
    measured: int = 0
    unlike: tuple[Trial, ...] = ()
    of: str = ""
    ties: int = 0


def answer(trials: Sequence[Trial], bounds: Bounds, teacher: float | None) -> Answer:
    """What the trials so far come to; `teacher` is the validation accuracy a loss is measured against."""
    known = [trial for trial in trials if bounds.judges(trial)]
    broken = {trial.number: bounds.excess(trial, teacher) for trial in known}
    within = [trial for trial in known if not broken[trial.number]]
    unlike = tuple(trial for trial in trials if bounds.latency is not None and trial.is_measured and trial.unlike)
    found = Answer(front=front(known), within=len(within), measured=len(known), unlike=unlike, of=_machine(known))
    if not known:
        return found
    if not within:
        nearest = min(known, key=lambda t: (sum(broken[t.number].values()), -(t.accuracy or 0.0), t.number))
        return _nearest(found, nearest, bounds, teacher)
    best = max(within, key=lambda t: rank(t, bounds))
    beyond = (_beyond(bound, best, known, broken, bounds) for bound in BOUNDS)
    cheaper = [t for t in within if (t.bytes or 0) < (best.bytes or 0)]
    ties = sum(rank(t, bounds)[0] == rank(best, bounds)[0] for t in within) - 1
    return Answer(
        recommended=best,
        binding=tuple(each for each in beyond if each is not None),
        cheaper=max(cheaper, key=_accurate, default=None),
        together=_together(best, known, broken, bounds),
        front=found.front,
        within=len(within),
        measured=len(known),
        unlike=found.unlike,
        of=found.of,
        ties=ties,
    )


def score(trial: Trial, bounds: Bounds, teacher: float | None) -> float | None:
    """What the study is told: above zero within the bounds, the better the higher; below, the nearer the higher (Deb's
    rule). None for a trial that cannot be compared."""
    if not bounds.judges(trial):
        return None
    broken = bounds.excess(trial, teacher)
    if broken:
        return -sum(broken.values())
    return 1 / (1 + (trial.bytes or 0) / 1e6) if bounds.goal == "bytes" else trial.accuracy


def rank(trial: Trial, bounds: Bounds) -> tuple[float, ...]:
    """The better of two within the bounds is greater: by the goal, then by the other figure, then the earlier one."""
    accuracy, size = trial.accuracy or 0.0, -(trial.bytes or 0)
    first = (size, accuracy) if bounds.goal == "bytes" else (accuracy, size)
    latency = math.inf if trial.latency is None or trial.unlike else trial.latency
    return (*first, -latency, -trial.number)


def front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Those that no other beats in accuracy and bytes, the smallest first."""
    found: list[Trial] = []
    for trial in sorted(trials, key=lambda t: (t.bytes or 0, -(t.accuracy or 0.0), t.number)):
        if not found or (trial.accuracy or 0.0) > (found[-1].accuracy or 0.0):
            found.append(trial)
    return tuple(found)


def _machine(known: Sequence[Trial]) -> str:
    """The machine and runtime that the bound on latency holds for; empty where it is not known."""
    return next((trial.timed_on for trial in known if trial.processor), "")


def _accurate(trial: Trial) -> tuple[float, ...]:
    return (trial.accuracy or 0.0, -(trial.bytes or 0), -trial.number)


def _beyond(
    bound: Bound, best: Trial, known: Sequence[Trial], broken: dict[int, dict[Bound, float]], bounds: Bounds
) -> Beyond | None:
    """The best of those that break this bound alone, where it is better than the recommended one."""
    alone = [trial for trial in known if set(broken[trial.number]) == {bound}]
    found = max(alone, key=lambda t: rank(t, bounds), default=None)
    better = found is not None and rank(found, bounds)[0] > rank(best, bounds)[0]
    return Beyond(bound, found) if found is not None and better else None


def _together(
    best: Trial, known: Sequence[Trial], broken: dict[int, dict[Bound, float]], bounds: Bounds
) -> Together | None:
    """The best of those that break several bounds, where it is better than the recommended one."""
    several = [trial for trial in known if len(broken[trial.number]) > 1]
    found = max(several, key=lambda t: rank(t, bounds), default=None)
    if found is None or rank(found, bounds)[0] <= rank(best, bounds)[0]:
        return None
    return Together(tuple(bound for bound in BOUNDS if bound in broken[found.number]), found)


def _nearest(found: Answer, nearest: Trial, bounds: Bounds, teacher: float | None) -> Answer:
    needed = {"bytes": nearest.bytes, "latency": nearest.latency, "drop": nearest.lost(teacher)}
    broken = bounds.excess(nearest, teacher)
    give_up = tuple(GiveUp(bound, float(needed[bound] or 0.0)) for bound in BOUNDS if bound in broken)
    return replace(found, nearest=nearest, give_up=give_up)
