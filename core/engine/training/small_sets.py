"""Small datasets: the minimum number of optimizer steps per epoch, an option of every method that trains."""

from __future__ import annotations

from typing import Any

from core.engine.context import Context
from core.engine.method import knob
from core.engine.training.schedule import Schedule

LEAST_STEPS = 16  # per epoch; chosen on validation over three small sets, see tests/bench/small_sets.py


def steps_at_least() -> Any:
    """The option; see `core.engine.training.schedule.Schedule.least` for what it does."""
    return knob(
        LEAST_STEPS,
        "Minimum steps per epoch",
        "If the dataset is too small for this many steps, batches shrink to as few as 16 images, then images are "
        "repeated; the run reports it. Without a minimum, batch size and passes stay as set.",
        zh=(
            "每轮最少步数",
            "数据集太小、一轮不足这么多步时，先减小批大小（最小 16 张），再重复遍历图像，"
            "并在运行中说明。不设下限时，严格按设定的批大小和遍历次数。",
        ),
        ge=0,
        le=1000,
        unit="steps",
        names={0: ("no minimum", "不设下限")},
        usual=LEAST_STEPS,
    )


def warn_small_dataset(images: int, schedule: Schedule, context: Context) -> None:
    """Reports if a set is so small that its batches are smaller, or its images repeated more often, than requested."""
    size, steps, asked = schedule.size(images), schedule.length(images), min(schedule.batch, images)
    passes = schedule.drawn(images) / images
    if not schedule.least or schedule.batches or (size == asked and passes <= 1):
        return
    too_few = f"{images:,} images make fewer than {schedule.least} batches of {asked:,}"
    often = f", in which each passes about {passes:.1f} times" if passes > 1 else ""
    context.remark("few_images", f"{too_few}: batches of {size:,}, {steps} steps an epoch{often}.")
