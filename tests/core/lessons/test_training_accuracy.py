"""Training accuracy: that of a step's last whole epoch, of the step itself and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.events import Progress
from core.lessons.references import in_runs, reference
from core.lessons.trained import with_training
from tests.core.lessons.test_references import summary

END = Progress(0, 0, "training", 1, 2, 0, 8, accuracy=0.5, validation_accuracy=0.4)
LAST = replace(END, epoch=2, accuracy=0.75)


def told(*events: Progress, step: str = "transfer") -> float | None:
    """What a lesson reads of a run whose curves have these events."""
    return in_runs({"one": with_training(summary(0.8), events)})(reference(f"one.{step}.training_accuracy"))


def test_the_last_whole_epoch_counts() -> None:
    within = replace(LAST, batch=3, accuracy=1.0, validation_accuracy=None)
    assert told(END, within, LAST) == 0.75
    assert told(END, LAST, within) == 0.75


@pytest.mark.parametrize(
    "other",
    [
        replace(LAST, accuracy=1.0, control="source_only"),
        replace(LAST, accuracy=1.0, step=1),
        replace(LAST, accuracy=None, epoch=0),
    ],
)
def test_controls_other_steps_and_what_came_in_do_not_count(other: Progress) -> None:
    assert told(LAST, other) == 0.75


def test_what_no_curve_tells_is_absent() -> None:
    assert told() is None
    assert told(LAST, step="prune") is None
    assert told(replace(LAST, accuracy=None)) is None


def test_nothing_else_of_the_run_changes() -> None:
    before = summary(0.8)
    after = with_training(before, [LAST])
    assert after.points[1] == before.points[1]
    assert after.points[0].model_copy(update={"receipt": {}}) == before.points[0]
    assert "training_accuracy" not in before.points[0].receipt
