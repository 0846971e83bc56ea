"""A point: the measurements of one saved model. What was not measured is absent, never zero or null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from core.controls import STORED
from core.statistics.chance import Chance

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Latency(BaseModel):
    """Milliseconds per batch (median `p50`, 95th percentile `p95` of `n` runs), of the saved file in its runtime;
    `noisy` if the machine was busy meanwhile. `apart` is the noise of the median: how far the medians of every other
    turn and of the turns between them are apart, as a share of the smaller (an A/A comparison); absent in older
    points."""

    model_config = STRICT

    runtime: str
    device: str
    threads: int
    batch: int
    n: int
    p50: float
    p95: float
    noisy: bool
    apart: float | None = None


class InRuntime(BaseModel):
    """The same saved file in a further runtime. Floats are computed in the format `precision`, which the runtime was
    told, and confirmed; `by_default` is what it would have computed them in untold.

    `agreement` is the share of test images with the same answer as in the runtime of the point's own figures,
    `difference` the largest difference of a validation or test logit from there. `layers` counts the layers that hold
    weights by the type they ran in, where the runtime tells. `times_faster` is the ratio of the two medians, timed in
    turns; where there is none, `withheld` says why: the machine was busy, or the difference is inside the noise.
    """

    model_config = STRICT

    version: str
    precision: str
    by_default: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    validation_accuracy: float
    agreement: float
    difference: float
    latency_ms: Latency
    layers: dict[str, int] = {}
    times_faster: float | None = None
    withheld: Literal["busy", "noise"] | None = None


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


FIGURES_OF_RUNTIME = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "validation_accuracy"))
NOT_THERE = dict.fromkeys(
    (
        "target_accuracy",
        "target_accuracy_low",
        "target_accuracy_high",
        "accuracy_mean",
        "accuracy_sd",
        "target_accuracy_mean",
        "target_accuracy_sd",
        "validation_accuracy_mean",
        "seeds",
        "spread",
    )
)
MACHINE = ("node", "processor")  # of an environment: where its machine is, and what it is
MEASURED_ON = "measured_on"  # of a receipt: the point's own environment
OF_ANSWERS = ("calibration_error", "same_answer_as_before", "gap_recovered")  # of a receipt: from the own runtime


class Point(BaseModel):
    """The model after one step: accuracies of the saved file from 0 to 1, sizes in bytes.

    `backbone` names its network, several joined by +; `control` is the code of a control (`core.controls`),
    None for the step's own model. `accuracy` is that of the test split with its 95 % interval, `target_accuracy` that
    of the target dataset's test split, if the recipe has one. `artifact` is a path relative to the run folder. The
    fields ending in `_mean` and `_sd` are mean and standard deviation over `seeds` seeds; all others describe the file
    of the recipe's own seed. `spread` is absent in points measured before it existed. `chance` is the chance level.
    `runtimes` holds what was measured in further runtimes, by their names (`core.runtimes`). None means not
    measured; `to_json` leaves such fields out.

    A point's receipt holds its own environment only in a run whose points were measured in several; in any other run
    the run's environment is that of all points (`RunSummary.environment_of`).
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
    runtimes: dict[str, InRuntime] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_older_runs(cls, data: Any) -> Any:
        """Points stored before `backbone` and `control` existed: both follow from the name."""
        if not isinstance(data, dict) or data.keys() & {"backbone", "control"} or not isinstance(data.get("name"), str):
            return data
        code, (backbone, dot, _) = STORED.get(data["name"]), data["name"].partition(" · ")
        return data | ({"control": code} if code else {"backbone": backbone} if dot else {})

    def to_json(self) -> dict[str, Any]:
        """As in the commands' JSON output, without what was not measured."""
        return self.model_dump(mode="json", exclude_none=True)

    def with_replicas(self, replicas: Sequence[Point]) -> Point:
        """This point with mean and sample standard deviation over itself and its replicas with other seeds."""
        same = (self, *replicas)
        tested = [p.accuracy for p in same if p.accuracy is not None]
        judged = [p.validation_accuracy for p in same if p.validation_accuracy is not None]
        there = [p.target_accuracy for p in same if p.target_accuracy is not None]
        if self.accuracy is None or len(tested) < 2:
            return self
        targeted = len(there) == len(tested)
        return self.model_copy(
            update={
                "accuracy_mean": mean(tested),
                "accuracy_sd": stdev(tested),
                "target_accuracy_mean": mean(there) if targeted else None,
                "target_accuracy_sd": stdev(there) if targeted else None,
                "validation_accuracy_mean": mean(judged) if len(judged) == len(tested) else None,
                "seeds": len(tested),
            }
        )

    def seen_in(self, runtime: str) -> Point:
        """This point with the figures of a runtime: its own, or a further one's with what was not measured there
        absent. Size, parameters and multiplications are the file's in any."""
        if not runtime or (self.latency_ms is not None and self.latency_ms.runtime == runtime):
            return self
        found = (self.runtimes or {}).get(runtime)
        figures = FIGURES_OF_RUNTIME if found is None else found.model_dump(include=set(FIGURES_OF_RUNTIME))
        there = {"latency_ms": found.latency_ms if found else None}
        receipt = {name: value for name, value in self.receipt.items() if name not in OF_ANSWERS}
        return self.model_copy(update={**NOT_THERE, **figures, **there, "receipt": receipt})

    @property
    def own_environment(self) -> dict[str, str]:
        """The environment it was measured in, where the run's is not that of all points; else empty."""
        found = self.receipt.get(MEASURED_ON)
        return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def environment(self, of_run: Mapping[str, str]) -> dict[str, str]:
        """The environment it was measured in; `of_run` is that of its run. Earlier versions stored of a point on a
        cluster the machine alone."""
        own = self.own_environment
        return own if own.keys() - MACHINE else {**of_run, **own}

    def in_environment(self, environment: Mapping[str, str]) -> Point:
        """This point with its own environment; what it says itself stays."""
        known = {**environment, **self.own_environment}
        return self.model_copy(update={"receipt": {**self.receipt, MEASURED_ON: {**known}}}) if known else self

    @property
    def middle(self) -> float | None:
        """The test accuracy to show: the mean over the seeds, or that of the only seed."""
        return self.accuracy if self.accuracy_mean is None else self.accuracy_mean

    @property
    def whiskers(self) -> tuple[float | None, float | None]:
        """The ends of the error bar around `middle`: ± one standard deviation over the seeds, or the 95 % interval."""
        if self.accuracy_mean is None or self.accuracy_sd is None:
            return self.accuracy_low, self.accuracy_high
        return self.accuracy_mean - self.accuracy_sd, self.accuracy_mean + self.accuracy_sd

    @property
    def on_target(self) -> float | None:
        """The target accuracy to show: the mean over the seeds, or that of the only seed."""
        return self.target_accuracy if self.target_accuracy_mean is None else self.target_accuracy_mean

    @property
    def target_whiskers(self) -> tuple[float | None, float | None]:
        """The ends of the error bar around `on_target`."""
        if self.target_accuracy_mean is None or self.target_accuracy_sd is None:
            return self.target_accuracy_low, self.target_accuracy_high
        return self.target_accuracy_mean - self.target_accuracy_sd, self.target_accuracy_mean + self.target_accuracy_sd

    @property
    def judged(self) -> float | None:
        """The validation accuracy to choose by: the mean over the seeds, or that of the only seed."""
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
        """Whether this file is not proven to be better than chance: the lower end of the 95 % interval of its own test
        accuracy is not above the chance level; without an interval, its validation accuracy is not. False if neither is
        known."""
        if self.chance is None:
            return False
        if self.accuracy_low is not None:
            return self.accuracy_low <= self.chance.test
        return self.validation_accuracy is not None and self.validation_accuracy <= self.chance.validation

    @property
    def is_at_chance_on_target(self) -> bool:
        """The same for its accuracy on the target; False without a target."""
        share = self.chance.target if self.chance else None
        return share is not None and self.target_accuracy_low is not None and self.target_accuracy_low <= share


def _share(found: JsonValue) -> float | None:
    return float(found) if isinstance(found, int | float) else None
