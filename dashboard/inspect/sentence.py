"""The line on top of the page: how often it is right, what changed, the worst class, and whether it knows."""

from __future__ import annotations

import numpy as np

from core.comparison.difference import Accuracy, Paired, judged
from core.comparison.flips import Flips
from core.comparison.paired import compared, right
from core.run_files.sides import Side, of_same_images
from core.statistics.confusion import worst_class
from core.text import formatting
from core.text.escaping import UserText
from dashboard import closing
from dashboard.i18n import say
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Answered, Pair

SAME = "±0.0"  # points of percent


def of(choice: Choice, pair: Pair | None) -> str:
    """For Markdown; what is not known yet is left out."""
    point = choice.point  # this very file, not the mean over seeds
    accuracy = formatting.with_interval(point.accuracy, point.accuracy_low, point.accuracy_high)
    parts = [say("inspect.accuracy", accuracy=accuracy)]
    if (difference := change(choice, pair)) is not None:
        parts[0] += say("inspect.aside", told=difference)
    if pair is not None:
        parts += [worst(pair.own), confidence(pair.own)]
    return " · ".join(parts)


def change(choice: Choice, pair: Pair | None = None) -> str | None:
    """The difference of the test accuracies in points of percent with its verdict; None where one of them is not known,
    or where they are of other images."""
    beside = choice.against
    if beside is None or not of_same_images(choice.side, beside):
        return None
    found = judged(_of_file(choice.side), _of_file(beside), lambda: _counts(choice.side, beside, pair))
    if found is None:
        return None
    points = signed(found.share)
    told = say("inspect.points", points=points, verdict=closing.verdict(found))
    return told if points != SAME else say("inspect.points_same")


def _of_file(side: Side) -> Accuracy:
    """The accuracy of this very file, not the mean over seeds."""
    return Accuracy(side.point.accuracy, side.point.accuracy_low, side.point.accuracy_high)


def _counts(one: Side, other: Side, pair: Pair | None) -> Paired | None:
    """The answers that the page shows, else those stored when the files were measured."""
    if pair is not None and pair.flips is not None:
        return pair.flips.paired
    return compared(right(one.run, one.point.artifact), right(other.run, other.point.artifact))


def worst(own: Answered) -> str:
    """The class that is recognised least often."""
    found = worst_class(own.matrix)
    return say("inspect.worst", name=UserText(own.name(found.label)).md(), share=formatting.percent(found.share, 0))


def confidence(own: Answered) -> str:
    """How sure it is on average, and how often it is right."""
    says, right = float(np.mean(own.confidences)), float(own.right.mean())
    return say("inspect.says", says=formatting.percent(says, 0), right=formatting.percent(right, 0))


def verdict(found: Flips) -> str:
    """How many images only one of the two gets right, and whether chance explains that (McNemar's exact test)."""
    gained, lost = len(found.gained), len(found.lost)
    if gained + lost == 0:
        return say("inspect.verdict_same" if found.changed == 0 else "inspect.verdict_none")
    p = found.paired.chance
    told = say(f"inspect.verdict_{'real' if found.paired.is_proven else 'chance'}", p=probability(p))
    return say("inspect.verdict", gained=gained, lost=lost, verdict=told)


def probability(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {formatting.two_digits(p)}"


def signed(share: float) -> str:
    """A difference of shares in points of percent, with its sign."""
    points = round(100 * share, 1)
    return f"{points:+.1f}".replace("-", "−") if points else SAME
