"""A point: one produced model as measured. What was not measured is absent, never zero and never null."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from core.chance import Chance
from core.controls import STORED

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Latency(BaseModel):
    """Milliseconds a batch, of the saved file in its runtime; `noisy` when the machine was busy meanwhile."""

    model_config = STRICT

    runtime: str
    device: str
    threads: int
    batch: int
    n: int
    p50: float
    p95: float
    noisy: bool


class Spread(BaseModel):
    """How a file's right answers are spread over the test images' classes, as shares of 1: the mean recall
    (`balanced_accuracy`), the mean F1 (`macro_f1`), the class with the lowest recall, and where there are ten classes
    or more the share of images whose label is among the first five answers."""

    model_config = STRICT

    balanced_accuracy: float
    macro_f1: float
    worst_class: str
    worst_recall: float
    top5_accuracy: float | None = None


class Point(BaseModel):
    """The model after one step: accuracies as shares of 1 on the saved file, sizes in bytes.

    `backbone` is the network's, several joined by +; `control` is the code of a control (`core.controls`), None for the
    step's own model. `accuracy` is that of the test split with its 95 % interval, `target_accuracy` that of the target
    dataset's test split, in a recipe that has one; `artifact` is relative to the run folder; `seeds` is the number of
    seeds behind `accuracy_mean`, its deviation `accuracy_sd`, both of the target too, and `validation_accuracy_mean`,
    while all else is of the file of the recipe's own seed. `spread` is
    absent in points of before it was measured. `chance` is what would be right without looking at the
    images. None means: not measured; `to_json` leaves it out.
    """

    model_config = STRICT

    step: int
    stage: str
    method: str
    name: str
    backbone: str | None = None
    control: str | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    validation_accuracy: float | None = None
    target_accuracy: float | None = None
    target_accuracy_low: float | None = None
    target_accuracy_high: float | None = None
    bytes: int | None = None
    compressed_bytes: int | None = None
    packed_bytes: int | None = None
    params: int | None = None
    macs: int | None = None
    latency_ms: Latency | None = None
    artifact: str | None = None
    receipt: dict[str, JsonValue] = {}
    accuracy_mean: float | None = None
    accuracy_sd: float | None = None
    target_accuracy_mean: float | None = None
    target_accuracy_sd: float | None = None
    validation_accuracy_mean: float | None = None
    seeds: int | None = None
    chance: Chance | None = None
    spread: Spread | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_older_runs(cls, data: Any) -> Any:
        """Points stored before they had codes: their names say the same."""
        if not isinstance(data, dict) or data.keys() & {"backbone", "control"} or not isinstance(data.get("name"), str):
            return data
        code, (backbone, dot, _) = STORED.get(data["name"]), data["name"].partition(" · ")
        return data | ({"control": code} if code else {"backbone": backbone} if dot else {})

    def to_json(self) -> dict[str, Any]:
        """As in the commands' JSON, without what was not measured."""
        return self.model_dump(mode="json", exclude_none=True)

    def with_replicas(self, replicas: Sequence[Point]) -> Point:
        """This point with mean and sample deviation over itself and the same step under other seeds."""
        same = (self, *replicas)
        told = [p.accuracy for p in same if p.accuracy is not None]
        judged = [p.validation_accuracy for p in same if p.validation_accuracy is not None]
        there = [p.target_accuracy for p in same if p.target_accuracy is not None]
        if self.accuracy is None or len(told) < 2:
            return self
        targeted = len(there) == len(told)
        return self.model_copy(
            update={
                "accuracy_mean": mean(told),
                "accuracy_sd": stdev(told),
                "target_accuracy_mean": mean(there) if targeted else None,
                "target_accuracy_sd": stdev(there) if targeted else None,
                "validation_accuracy_mean": mean(judged) if len(judged) == len(told) else None,
                "seeds": len(told),
            }
        )

    @property
    def middle(self) -> float | None:
        """The test accuracy to show: the mean over the seeds, of one seed its own."""
        return self.accuracy if self.accuracy_mean is None else self.accuracy_mean

    @property
    def whiskers(self) -> tuple[float | None, float | None]:
        """What is drawn around `middle`: one deviation over the seeds to each side, of one seed the 95 % interval."""
        if self.accuracy_mean is None or self.accuracy_sd is None:
            return self.accuracy_low, self.accuracy_high
        return self.accuracy_mean - self.accuracy_sd, self.accuracy_mean + self.accuracy_sd

    @property
    def on_target(self) -> float | None:
        """The accuracy on the target to show: the mean over the seeds, of one seed its own."""
        return self.target_accuracy if self.target_accuracy_mean is None else self.target_accuracy_mean

    @property
    def target_whiskers(self) -> tuple[float | None, float | None]:
        """What is drawn around `on_target`, as `whiskers` are around `middle`."""
        if self.target_accuracy_mean is None or self.target_accuracy_sd is None:
            return self.target_accuracy_low, self.target_accuracy_high
        return self.target_accuracy_mean - self.target_accuracy_sd, self.target_accuracy_mean + self.target_accuracy_sd

    @property
    def judged(self) -> float | None:
        """The validation accuracy to choose by: the mean over the seeds, of one seed its own."""
        return self.validation_accuracy if self.validation_accuracy_mean is None else self.validation_accuracy_mean

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error on the test images."""
        return _share(self.receipt.get("calibration_error"))

    @property
    def agreement(self) -> float | None:
        """The share of validation images with the same answer as the model before it."""
        return _share(self.receipt.get("same_answer_as_before"))

    @property
    def is_at_chance(self) -> bool:
        """Whether this file was not shown to be better than chance: the lower end of its test accuracy's 95 % interval,
        whatever other seeds reached, is not above chance; without an interval its validation accuracy is not. False
        where neither is known."""
        if self.chance is None:
            return False
        if self.accuracy_low is not None:
            return self.accuracy_low <= self.chance.test
        return self.validation_accuracy is not None and self.validation_accuracy <= self.chance.validation

    @property
    def is_at_chance_on_target(self) -> bool:
        """The same of its accuracy on the target; False without a target."""
        share = self.chance.target if self.chance else None
        return share is not None and self.target_accuracy_low is not None and self.target_accuracy_low <= share


def _share(found: JsonValue) -> float | None:
    return float(found) if isinstance(found, int | float) else None
