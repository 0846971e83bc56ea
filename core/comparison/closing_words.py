"""The conclusion of a run in sentences, built from the facts of `core.comparison.closing` and the phrases of one
language.

PHRASES is English; the pages supply other languages. Reasons come from receipts: if a receipt's sentence matches one of
the `why_` phrases, its numbers are extracted, so that it can be phrased in another language.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from core import controls
from core.comparison.closing import MATTERS, NEAR, Closing, Shortfall, Worth
from core.comparison.difference import Difference
from core.comparison.speed import Speed
from core.points import Point
from core.state import Status
from core.text import formatting

PHRASES = {
    "so_far": "So far: ",
    "ended_early": "The run {status} with {count:model|models} measured. ",
    "nothing": "The run {status} before any model was measured.",
    "status_failed": "failed",
    "status_cancelled": "was cancelled",
    "status_interrupted": "was interrupted",
    "one": "One model: {model}. There is nothing yet to compare it with.",
    "head": "{size}{speed} {than}{aside}; {accuracy}.",
    "than_teacher": "than its teacher",
    "than_first": "than the first model",
    "size_smaller": "{times} times smaller",
    "size_larger": "{times} times larger",
    "size_same": "no smaller",
    "size_unknown": "of unknown size",
    "speed_faster": " and {times} times faster",
    "speed_slower": " but {times} times slower",
    "speed_faster_though": " but {times} times faster",
    "speed_slower_too": " and {times} times slower",
    "speed_same": " and no faster",
    "aside_noisy": " (speed withheld: the machine was busy)",
    "aside_noise": " (speed withheld: the difference is within the noise)",
    "aside_conditions": " (speed withheld: they were timed under different conditions: {unlike})",
    "aside_turns": " (timed in turns: {low} to {high} times as fast in the middle half of them)",
    "aside_medians": " (by the medians of two timings, not in turns)",
    "aside_medians_noise": " (by the medians of two timings, not in turns: {low} to {high} times as fast, given their noise)",  # noqa: E501
    "unlike_runtime": "the runtime",
    "unlike_runtime_version": "the version of the runtime",
    "unlike_device": "the device",
    "unlike_threads": "the number of threads",
    "unlike_batch": "the batch",
    "unlike_processor": "the processor",
    "aside_unknown": " (its latency was not measured)",
    "accuracy_more": "its test accuracy is {points:point|points} higher{verdict}",
    "accuracy_fewer": "its test accuracy is {points:point|points} lower{verdict}",
    "accuracy_same": "its test accuracy is the same{verdict}",
    "accuracy_unknown": "its test accuracy was not measured",
    "target_more": "On the target its accuracy is {points:point|points} higher{verdict}.",
    "target_fewer": "On the target its accuracy is {points:point|points} lower{verdict}.",
    "target_same": "On the target its accuracy is the same{verdict}.",
    "intervals_proven": " (the 95 % intervals do not overlap)",
    "intervals_open": " (the 95 % intervals overlap: no proven difference)",
    "images_proven": " (a proven difference, tested on the same images)",
    "images_open": " (no proven difference, tested on the same images)",
    "seeds_proven": " (more than the spread over {seeds} seeds)",
    "seeds_open": " (within the spread over {seeds} seeds: no proven difference)",
    "unjudged": " (not tested for chance)",
    "means": "Accuracies are means over {seeds} seeds.",
    "seeds_differ": "Not all models were measured with equally many seeds: those are compared by the first seed alone.",
    "teacher_more": "The teacher was worth {points:point|points}{verdict}.",
    "teacher_fewer": "The teacher did harm: without it the student is {points:point|points} better{verdict}.",
    "teacher_fewer_open": "The teacher was of no proven worth: without it the student is {points:point|points} better{verdict}.",  # noqa: E501
    "teacher_more_open": "The teacher was of no proven worth: with it the student is {points:point|points} better{verdict}.",  # noqa: E501
    "teacher_same": "The teacher was of no proven worth: without it the student is as accurate{verdict}.",
    "worth_more": "{step} is {points:point|points} better than its control, {control}{verdict}.",
    "worth_fewer": "{step} did not help: its control, {control}, is {points:point|points} better{verdict}.",
    "worth_fewer_open": "{step} was of no proven help: its control, {control}, is {points:point|points} better{verdict}.",  # noqa: E501
    "worth_more_open": "{step} was of no proven help: it is {points:point|points} better than its control, {control}{verdict}.",  # noqa: E501
    "worth_same": "{step} was of no proven help: its control, {control}, is as accurate{verdict}.",
    "worth_target_more": "On the target, {step} is {points:point|points} better than its control, {control}{verdict}.",
    "worth_target_fewer": "On the target, {step} did not help: its control, {control}, is {points:point|points} better{verdict}.",  # noqa: E501
    "worth_target_fewer_open": "On the target, {step} was of no proven help: its control, {control}, is {points:point|points} better{verdict}.",  # noqa: E501
    "worth_target_more_open": "On the target, {step} was of no proven help: it is {points:point|points} better than its control, {control}{verdict}.",  # noqa: E501
    "worth_target_same": "On the target, {step} was of no proven help: its control, {control}, is as accurate{verdict}.",  # noqa: E501
    "kept": "{step}: training did not improve the incoming model, which was kept.",
    "kept_within": "{step}: training that improved nothing was not kept.",
    "not_faster": "{step} made it smaller, not faster{why}.",
    "not_smaller": "{step} made it faster, not smaller{why}.",
    "neither": "{step} made it neither smaller nor faster{why}.",
    "smaller_noisy": "{steps} made it smaller; whether also faster is not known, because the machine was busy.",
    "smaller_noise": "{steps} made it smaller; any gain in speed is within the noise.",
    "larger_noisy": "{step} made it no smaller{why}; whether it is faster is not known, because the machine was busy.",
    "larger_noise": "{step} made it no smaller{why}; any gain in speed is within the noise.",
    "because": ": {why}",
    "and_why": "{one}; {other}",
    "last_at_chance": "But its last model is not proven better than chance.",
    "some_at_chance": "Not proven better than chance: {steps}.",
    "take": "The one to deploy: {model}, the smallest within {near} points of the best on validation.",
    "take_none": "None of its models is worth deploying: none is proven better than chance.",
    "model": "{mark} {name} ({accuracy}, {size}, {time})",
    "step_of_several": "{stage} (step {number})",
    "stage_transfer": "Transfer",
    "stage_distill": "Distillation",
    "stage_prune": "Pruning",
    "stage_quantize": "Quantization",
    "stage_export": "Export",
    "list": ", ",
    "list_end": "{others} and {last}",
    # the reasons in receipts, word for word: these are stored
    "why_float": "every layer stayed float32",
    "why_widened": "no layer ran an integer kernel: the stored weights are widened to float32 before they are used",
    "why_widened_earlier": "no layer ran an integer kernel: the weights are widened to float32 before they are used",
    "why_integers": "{part} of {whole} layers ran integer kernels, which take no less time here than those in float32 (profiled: {before} → {after} µs)",  # noqa: E501
    "why_rounding": "{part} of {whole} layers ran integer kernels, which take less time (profiled: {before} → {after} µs), but all other operators, the rounding between layers among them, take more ({others} → {now} µs)",  # noqa: E501
    "why_rounding_earlier": "{part} of {whole} layers ran int8 kernels, but at {time} ms an image rounding the activations between layers costs what the cheaper arithmetic saves",  # noqa: E501
    "why_integers_unknown": "{part} of {whole} layers ran integer kernels, and why that is not faster is not known",
    "why_more": "the network does more multiplications than before ({before} → {after})",
    "why_about_as_many": "the network does about as many multiplications as before ({before} → {after})",
    "why_as_many": "the network does as many multiplications as before ({count})",
    "why_zeros": "this runtime multiplies by zeros as by other numbers ({share} of the weights are zero)",
    "why_zeros_compressed": "this runtime multiplies by zeros as by other numbers ({share} of the weights are zero); only the compressed file shrinks",  # noqa: E501
    "why_layers": "it does {times}× fewer multiplications, but its layers take no less time here (profiled: {before} → {after} µs); why is not known",  # noqa: E501
    "why_others": "it does {times}× fewer multiplications, but only its layers take less time (profiled: {before} → {after} µs), all other operators do not ({others} → {now} µs)",  # noqa: E501
    "why_unknown": "it does {times}× fewer multiplications, but its operators together take less time (profiled: {before} → {after} µs); why the file does not is not known",  # noqa: E501
}
NUMBER = r"[\d.,]+ ?[kMG%]?"
MARKS = {"transfer": "●", "distill": "◆", "prune": "■", "quantize": "▲", "export": "▷"}

Phrase = Callable[..., str]


def english(key: str, **values: object) -> str:
    """A phrase with its placeholders filled in."""
    return PHRASES[key].format(**{name: formatting.Amount(value) for name, value in values.items()})


@dataclass(frozen=True)
class Voice:
    """A language: its phrases, its names for points and controls, and the separator between sentences."""

    phrase: Phrase = english
    point: Callable[[Point], str] = lambda point: point.name
    control: Callable[[str], str] = lambda code: f"“{controls.english(code)}”"
    between: str = " "


ENGLISH = Voice()


def sentence(found: Closing, voice: Voice = ENGLISH) -> str:
    """The whole conclusion as one paragraph; empty for a run that has measured nothing yet."""
    return voice.between.join(lines(found, voice))


def lines(found: Closing, voice: Voice = ENGLISH) -> list[str]:
    """The sentences one by one: the result, the comparison with controls, what did not help, which model to deploy."""
    if not found.points:
        ended = found.status.is_over and found.status is not Status.FINISHED
        return [voice.phrase("nothing", status=_status(found, voice))] if ended else []
    return [_opening(found, voice) + _head(found, voice), *_details(found, voice)]


def brief(found: Closing, voice: Voice = ENGLISH) -> str:
    """The result and the gain from the teacher, for a list of runs."""
    sentences = lines(found, voice)[:1]
    sentences += [_chance(found, voice)] if found.points and found.last.is_at_chance else []
    sentences += [_worth(worth, found, voice) for worth in found.worths if worth.of_teacher and worth.test]
    return voice.between.join(sentences)


def _opening(found: Closing, voice: Voice) -> str:
    if found.status is Status.FINISHED:
        return ""
    if not found.status.is_over:
        return voice.phrase("so_far")
    return voice.phrase("ended_early", status=_status(found, voice), count=len(found.points))


def _status(found: Closing, voice: Voice) -> str:
    return voice.phrase(f"status_{found.status.value}")


def _head(found: Closing, voice: Voice) -> str:
    say = voice.phrase
    if len(found.points) == 1:
        return say("one", model=model(found.last, voice))
    head = say(
        "head",
        size=_size(found.smaller, voice),
        speed=_speed(found, voice),
        aside=_aside(found.speed, voice),
        than=say("than_teacher" if found.taught else "than_first"),
        accuracy=_difference("accuracy", found.accuracy, voice),
    )
    return head[:1].upper() + head[1:]


def _size(smaller: float | None, voice: Voice) -> str:
    if smaller is None:
        return voice.phrase("size_unknown")
    if 1 / MATTERS < smaller < MATTERS:
        return voice.phrase("size_same")
    return _times("size_smaller", "size_larger", smaller, voice)


def _speed(found: Closing, voice: Voice) -> str:
    """How much faster or slower; "but" joins a gain to a loss, "and" two gains or two losses."""
    speed = found.speed
    if speed is None or speed.times is None:
        return ""
    if 1 / MATTERS < speed.times < MATTERS:
        return voice.phrase("speed_same")
    if found.smaller is not None and found.smaller < MATTERS:
        return _times("speed_faster_though", "speed_slower_too", speed.times, voice)
    return _times("speed_faster", "speed_slower", speed.times, voice)


def _aside(speed: Speed | None, voice: Voice) -> str:
    """Why no speed is reported, or how it was measured and its spread; empty for a speed timed in turns whose spread is
    not known, or not seen in the digits that are told."""
    if speed is None:
        return voice.phrase("aside_unknown")
    if speed.withheld:
        return voice.phrase(f"aside_{speed.withheld}", unlike=unlike(speed, voice))
    ends = formatting.ends(speed.low, speed.high)
    if speed.in_turns:
        return voice.phrase("aside_turns", low=ends[0], high=ends[1]) if ends else ""
    return voice.phrase("aside_medians_noise", low=ends[0], high=ends[1]) if ends else voice.phrase("aside_medians")


def unlike(speed: Speed, voice: Voice = ENGLISH) -> str:
    """The conditions that differ, by name; empty where none is known to."""
    return voice.phrase("list").join(voice.phrase(f"unlike_{name}") for name in speed.unlike)


def _times(more: str, less: str, ratio: float, voice: Voice) -> str:
    gained = ratio > 1
    return voice.phrase(more if gained else less, times=formatting.two_digits(ratio if gained else 1 / ratio))


def _difference(kind: str, found: Difference | None, voice: Voice, **names: str) -> str:
    """The phrase `kind`_more, _fewer or _same, with how the difference was judged; one that ends in _open, where there
    is one, for a difference that is not proven."""
    if found is None:
        return voice.phrase(f"{kind}_unknown")
    points = {} if found.way == "same" else {"points": told_points(found)}
    key = f"{kind}_{found.way}"
    if not found.proven and f"{key}_open" in PHRASES:
        key = f"{key}_open"
    return voice.phrase(key, verdict=verdict(found, voice), **points, **names)


def told_points(found: Difference) -> str:
    """Percentage points without sign, with one decimal; of less than that the first digit that is not zero."""
    return f"{abs(found.points):.1f}" if found.points else f"{float(f'{abs(100 * found.share):.1g}'):.9f}".rstrip("0")


def verdict(found: Difference, voice: Voice = ENGLISH) -> str:
    """How the difference was judged and what came of it, in brackets after a space."""
    return voice.phrase(found.verdict, seeds=found.seeds)


def _details(found: Closing, voice: Voice) -> Iterator[str]:
    say = voice.phrase
    if found.seeds_differ:
        yield say("seeds_differ")
    elif len(found.points) > 1 and found.seeds > 1:
        yield say("means", seeds=found.seeds)
    if found.target is not None:
        yield _difference("target", found.target, voice)
    if found.at_chance:
        yield _chance(found, voice)
    for worth in found.worths:
        yield from _worth_lines(worth, found, voice)
    for point in found.kept:
        yield say("kept", step=step_name(point, found, voice))
    for point in found.kept_within:
        yield say("kept_within", step=step_name(point, found, voice))
    yield from _shortfalls(found, voice)
    yield from _take(found, voice)


def _chance(found: Closing, voice: Voice) -> str:
    if found.last.is_at_chance:
        return voice.phrase("last_at_chance")
    return voice.phrase("some_at_chance", steps=_steps(found.at_chance, found, voice))


def _worth_lines(worth: Worth, found: Closing, voice: Voice) -> Iterator[str]:
    if worth.test is not None:
        yield _worth(worth, found, voice)
    if worth.target is not None:
        yield _difference("worth_target", worth.target, voice, **_names(worth, found, voice))


def _worth(worth: Worth, found: Closing, voice: Voice) -> str:
    if worth.of_teacher:
        return _difference("teacher", worth.test, voice)
    return _difference("worth", worth.test, voice, **_names(worth, found, voice))


def _names(worth: Worth, found: Closing, voice: Voice) -> dict[str, str]:
    return {"step": step_name(worth.point, found, voice), "control": voice.control(worth.control)}


def _shortfalls(found: Closing, voice: Voice) -> Iterator[str]:
    """What did not help and why; steps whose speed is withheld for the same reason share one sentence."""
    for short in found.shortfalls:
        if short.bytes or not short.unsure:
            yield _shortfall(short, found, voice)
    for unsure in ("noisy", "noise"):
        alike = [short.point for short in found.shortfalls if short.unsure == unsure and not short.bytes]
        if alike:
            yield voice.phrase(f"smaller_{unsure}", steps=_steps(alike, found, voice))


def _shortfall(short: Shortfall, found: Closing, voice: Voice) -> str:
    step, say = step_name(short.point, found, voice), voice.phrase
    sizes, times = (reason(text, voice) for text in (short.why_bytes, short.why_latency))
    if short.unsure:
        return say(f"larger_{short.unsure}", step=step, why=_because(sizes, voice))
    if short.bytes and short.latency:
        both = say("and_why", one=sizes, other=times) if sizes and times else sizes or times
        return say("neither", step=step, why=_because(both, voice))
    key, why = ("not_smaller", sizes) if short.bytes else ("not_faster", times)
    return say(key, step=step, why=_because(why, voice))


def _because(why: str, voice: Voice) -> str:
    return voice.phrase("because", why=why) if why else ""


def _take(found: Closing, voice: Voice) -> Iterator[str]:
    if len(found.points) == len(found.at_chance):
        yield voice.phrase("take_none")
    elif found.take is not None and len(found.points) > 1:
        yield voice.phrase("take", model=model(found.take, voice), near=round(100 * NEAR))


def model(point: Point, voice: Voice = ENGLISH) -> str:
    """A model's mark and name with accuracy, size and latency; what was not measured is a dash."""
    return voice.phrase(
        "model",
        mark=MARKS.get(point.stage, "○"),
        name=voice.point(point),
        accuracy=formatting.accuracy(point),
        size=formatting.size(point.bytes),
        time=formatting.milliseconds(point.latency_ms),
    )


def step_name(point: Point, found: Closing, voice: Voice = ENGLISH) -> str:
    """The name of a step, with its number if the run has several steps of its stage."""
    stage = voice.phrase(f"stage_{point.stage}") if f"stage_{point.stage}" in PHRASES else point.stage
    several = sum(other.stage == point.stage for other in found.points) > 1
    return voice.phrase("step_of_several", stage=stage, number=point.step + 1) if several else stage


def _steps(points: Sequence[Point], found: Closing, voice: Voice) -> str:
    """The names of several steps in a row; the first alone begins with a capital letter."""
    first, *others = (step_name(point, found, voice) for point in points)
    *names, last = [first, *(name[:1].lower() + name[1:] for name in others)]
    return voice.phrase("list_end", others=voice.phrase("list").join(names), last=last) if names else last


def reason(text: str, voice: Voice = ENGLISH) -> str:
    """A receipt's reason in the given language; one that matches no phrase is returned unchanged."""
    for key, pattern in _reasons():
        if (match := pattern.fullmatch(text)) is not None:
            return voice.phrase(key, **match.groupdict())
    return text


@cache
def _reasons() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The `why_` phrases as patterns; their placeholders match numbers, with or without a unit."""
    return tuple((key, _pattern(words)) for key, words in PHRASES.items() if key.startswith("why_"))


def _pattern(words: str) -> re.Pattern[str]:
    parts = string.Formatter().parse(words)
    return re.compile(
        "".join(re.escape(text) + (f"(?P<{name}>{NUMBER})" if name else "") for text, name, _, _ in parts)
    )
