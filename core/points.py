"""A point: one produced model as measured. What was not measured is absent, never zero and never null."""

from __future__ import annotations

from statistics import stdev
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

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


class Point(BaseModel):
    """The model after one step: accuracies as shares of 1 on the saved file, sizes in bytes.

    `accuracy` is that of the test split with its 95 % interval, `target_accuracy` that of the target data set's test
    split, in a recipe that has one; `artifact` is relative to the run folder; `seeds` is
    the number of seeds behind `accuracy_sd`. None means: not measured; `to_json` leaves it out.
    """

    model_config = STRICT

    step: int
    stage: str
    method: str
    name: str
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
    accuracy_sd: float | None = None
    seeds: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As in the commands' JSON, without what was not measured."""
        return self.model_dump(mode="json", exclude_none=True)

    def with_replicas(self, accuracies: tuple[float, ...]) -> Point:
        """This point with the spread over its own accuracy and those of the same step under other seeds."""
        if self.accuracy is None or not accuracies:
            return self
        spread = stdev((self.accuracy, *accuracies))
        return self.model_copy(update={"accuracy_sd": spread, "seeds": 1 + len(accuracies)})
