"""Training accuracy, which no measured file has: lessons read it where the learning curve of a step ends."""

from __future__ import annotations

from collections.abc import Iterable

from core.events import Progress
from core.points import Point
from core.runs import RunSummary

TRAINED = "training_accuracy"  # in a point's receipt, for lessons only


def with_training(summary: RunSummary, told: Iterable[Progress]) -> RunSummary:
    """The summary whose points also know the share of training images that was answered right in their step's last
    epoch: as the images were shown, altered where they were. Points of steps without such a curve stay as they are."""
    last: dict[int, float] = {}
    for event in told:
        if event.accuracy is not None and event.validation_accuracy is not None and not event.control:
            last[event.step] = event.accuracy
    points = tuple(_knowing(point, last.get(point.step)) for point in summary.points)
    return summary.model_copy(update={"points": points})


def _knowing(point: Point, accuracy: float | None) -> Point:
    if accuracy is None:
        return point
    return point.model_copy(update={"receipt": {**point.receipt, TRAINED: accuracy}})
