"""A search's answer in sentences, in the phrases of one language. PHRASES is English; pages bring the others along."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from core.options import Value
from core.search.answer import Answer, Beyond, GiveUp, Together
from core.search.bounds import Bound, Bounds, told
from core.search.space import told_value
from core.search.trial import Trial
from core.text import formatting

PHRASES = {
    "take": "Take trial {number}: {figures}. It has {values}.",
    "most_accurate": "It is the most accurate of {count:trial|trials} within the bounds.",
    "only": "It is the only one of {count:trial|trials} within the bounds.",
    "most_accurate_free": "It is the most accurate of {count:trial|trials}.",
    "smallest": "It has the smallest file of {count:trial|trials} within the bounds.",
    "ties_accuracy": "{ties:other trial is|other trials are} as accurate, and none of them smaller.",
    "ties_bytes": "{ties:other trial has|other trials have} as small a file, and none of them is more accurate.",
    "binds": "The bound on {bound} binds: trial {number} is {gain}, but {amount}.",
    "binds_none": "No bound stood in the way: none of the trials outside them is better.",
    "binds_together": "No single bound binds: trial {number} is {gain}, but breaks several ({bounds}).",
    "gain_accuracy": "{points:point|points} better",
    "gain_bytes": "{size} smaller",
    "cheaper": "The most accurate of the smaller ones: trial {number} with {size}, {points:point|points} less.",
    "cheaper_equal": "The most accurate of the smaller ones: trial {number} with {size}, as accurate.",
    "cheaper_none": "None within the bounds is smaller.",
    "missed": "None of {count:trial|trials} meets the bounds.",
    "nearest": "The nearest is trial {number}: {figures}. It has {values}.",
    "give_up": "It would meet them with {amounts}.",
    "give_up_one": "{bound} {amount} instead of {given}",
    "points": "{points:point|points}",
    "nothing": "No trial was measured.",
    "bound_bytes": "bytes",
    "bound_latency": "latency",
    "bound_drop": "accuracy lost",
    "lost": "{points:point|points} below the teacher",
    "above": "{points:point|points} above the teacher",
    "level": "level with the teacher",
    "on_validation": "{accuracy} on validation",
    "busy": "{latency} (the machine was busy)",
    "elsewhere": "{latency} on {machine}",
    "unlike": "The bound on latency holds for {machine}, on which the first trial was timed: {unlike:trial|trials} "
    "timed on another machine or in another version of the runtime ({others}) could not be judged.",
    "confirm": "It was chosen on the validation images, where no difference between trials was tested for chance: run "
    "it with 3 seeds to confirm it on the test images.",
    "list": ", ",
}
Phrase = Callable[..., str]


def english(key: str, **values: object) -> str:
    """A phrase with its places filled in."""
    return PHRASES[key].format(**{name: formatting.Amount(value) for name, value in values.items()})


@dataclass(frozen=True)
class Voice:
    """A language: its phrases, and how a setting of a knob is told."""

    phrase: Phrase = english
    setting: Callable[[str, Value], str] = lambda path, value: f"{path}={told_value(value)}"
    between: str = " "  # sentences
    text: Callable[[str], str] = str  # a machine's name, escaped for where it is shown


def sentence(found: Answer, bounds: Bounds, teacher: float | None, voice: Voice) -> str:
    """The answer: what to take and why, or what is nearest and what to give up."""
    return voice.between.join(_sentences(found, bounds, teacher, voice))


def figures(trial: Trial, teacher: float | None, voice: Voice) -> str:
    """Accuracy, what of the teacher's is lost, size and time of a trial."""
    say = voice.phrase
    parts = [say("on_validation", accuracy=formatting.percent(trial.accuracy))]
    if (lost := trial.lost(teacher)) is not None:
        points = _points(abs(lost))
        parts.append(say("level") if points == "0" else say("lost" if lost > 0 else "above", points=points))
    parts.append(formatting.size(trial.bytes))
    if trial.latency is not None:
        latency = f"{formatting.two_digits(trial.latency)} ms"
        latency = say("elsewhere", latency=latency, machine=voice.text(trial.timed_on)) if trial.unlike else latency
        parts.append(say("busy", latency=latency) if trial.noisy else latency)
    return say("list").join(parts)


def values(settings: Mapping[str, Value], voice: Voice) -> str:
    """What a trial set."""
    return voice.phrase("list").join(voice.setting(path, value) for path, value in settings.items())


def _sentences(found: Answer, bounds: Bounds, teacher: float | None, voice: Voice) -> Iterator[str]:
    say, best = voice.phrase, found.recommended
    if best is not None:
        told = {"figures": figures(best, teacher, voice), "values": values(best.values, voice)}
        yield say("take", number=best.number + 1, **told)
        yield from _why(found, best, bounds, voice)
        yield say("confirm")
    elif found.nearest is not None:
        near = found.nearest
        yield say("missed", count=found.measured)
        told = {"figures": figures(near, teacher, voice), "values": values(near.values, voice)}
        yield say("nearest", number=near.number + 1, **told)
        yield say("give_up", amounts=say("list").join(_give_up(each, bounds, voice) for each in found.give_up))
    else:
        yield say("nothing")
    if found.unlike:
        others = say("list").join(dict.fromkeys(voice.text(trial.timed_on) for trial in found.unlike))
        yield say("unlike", machine=voice.text(found.of), unlike=len(found.unlike), others=others)


def _why(found: Answer, best: Trial, bounds: Bounds, voice: Voice) -> Iterator[str]:
    say, free = voice.phrase, bounds == Bounds()
    if found.within == 1 and not free:
        yield say("only", count=found.measured)
    else:
        yield say(_reason(bounds, free), count=found.within)
    if found.ties:
        yield say("ties_bytes" if bounds.goal == "bytes" else "ties_accuracy", ties=found.ties)
    yield from (_binds(each, best, bounds, voice) for each in found.binding)
    if not found.binding and not free:
        yield say("binds_none") if found.together is None else _together(found.together, best, bounds, voice)
    if bounds.goal == "accuracy":
        yield _cheaper(found.cheaper, best, voice)


def _reason(bounds: Bounds, free: bool) -> str:
    return "smallest" if bounds.goal == "bytes" else "most_accurate_free" if free else "most_accurate"


def _binds(beyond: Beyond, best: Trial, bounds: Bounds, voice: Voice) -> str:
    other, say = beyond.trial, voice.phrase
    gain = _gain(other, best, bounds, voice)
    amount = _amount(beyond.bound, other, voice)
    return say("binds", bound=say(f"bound_{beyond.bound}"), number=other.number + 1, gain=gain, amount=amount)


def _together(found: Together, best: Trial, bounds: Bounds, voice: Voice) -> str:
    names = voice.phrase("list").join(voice.phrase(f"bound_{bound}") for bound in found.bounds)
    gain = _gain(found.trial, best, bounds, voice)
    return voice.phrase("binds_together", number=found.trial.number + 1, gain=gain, bounds=names)


def _cheaper(other: Trial | None, best: Trial, voice: Voice) -> str:
    if other is None:
        return voice.phrase("cheaper_none")
    told = {"number": other.number + 1, "size": formatting.size(other.bytes)}
    if other.accuracy == best.accuracy:
        return voice.phrase("cheaper_equal", **told)
    return voice.phrase("cheaper", points=_difference(best, other), **told)


def _gain(other: Trial, best: Trial, bounds: Bounds, voice: Voice) -> str:
    """What the other trial, outside the bounds, is better by."""
    if bounds.goal == "bytes":
        return voice.phrase("gain_bytes", size=formatting.size((best.bytes or 0) - (other.bytes or 0)))
    return voice.phrase("gain_accuracy", points=_difference(other, best))


def _amount(bound: Bound, trial: Trial, voice: Voice) -> str:
    if bound == "bytes":
        return told(bound, trial.bytes or 0)
    if bound == "latency":
        return told(bound, trial.latency or 0.0)
    return voice.phrase("on_validation", accuracy=formatting.percent(trial.accuracy))


def _give_up(given_up: GiveUp, bounds: Bounds, voice: Voice) -> str:
    name = given_up.bound
    needed, given = (_bound(name, amount, voice) for amount in (given_up.needed, bounds.of(name) or 0.0))
    return voice.phrase("give_up_one", amount=needed, given=given, bound=voice.phrase(f"bound_{name}"))


def _bound(bound: Bound, amount: float, voice: Voice) -> str:
    """A bound with its unit, rounded up, so that the bound that is told is met."""
    if bound != "drop":
        return formatting.size_rounded_up(amount) if bound == "bytes" else told(bound, _rounded_up(amount))
    return voice.phrase("points", points=f"{math.ceil(10 * amount - 1e-9) / 10:g}")


def _rounded_up(amount: float) -> float:
    """With three digits, at least the amount."""
    unit = 10.0 ** (math.floor(math.log10(amount)) - 2) if amount > 0 else 1.0
    return math.ceil(amount / unit - 1e-9) * unit


def _difference(one: Trial, other: Trial) -> str:
    return _points(100 * ((one.accuracy or 0.0) - (other.accuracy or 0.0)))


def _points(points: float) -> str:
    """With one decimal, or with the first digit that is not zero."""
    return f"{round(points, 1) + 0.0:g}" if round(points, 1) or abs(points) < 1e-6 else f"{points:.1g}"
