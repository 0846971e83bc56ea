"""The bounds of a search, read from what a person writes, and by how much a model misses them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.errors import UserError
from core.search.trial import Trial
from core.text import formatting

Bound = Literal["bytes", "latency", "drop"]
Goal = Literal["accuracy", "bytes", "latency"]
UNITS = {  # in lower case
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
AMOUNT = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})\s*([A-Za-z\u00b5\u03bc]*)\s*")  # units; micro, mu
TIMES = {"": 1.0, "ms": 1.0, "us": 1e-3, "\u00b5s": 1e-3, "\u03bcs": 1e-3, "s": 1e3}
LEAST_DROP = 1.0  # point of percent: what a loss over its bound is measured by where the bound is smaller


@dataclass(frozen=True)
class Bounds:
    """At most so many bytes, milliseconds, and points of validation accuracy below the teacher; None: any."""

    bytes: int | None = None
    latency: float | None = None
    drop: float | None = None

    @property
    def goal(self) -> Goal:
        """What is made best within the bounds: the accuracy; the size where only the accuracy is bounded."""
        return "bytes" if self.drop is not None and self.bytes is None and self.latency is None else "accuracy"

    def of(self, bound: Bound) -> float | None:
        """The bound of that name."""
        given: Mapping[Bound, float | None] = {"bytes": self.bytes, "latency": self.latency, "drop": self.drop}
        return given[bound]

    def judges(self, trial: Trial) -> bool:
        """Whether the trial can be compared: it was measured and, where there is a bound on latency, timed on the kind
        of machine that the bound holds for, which is the first trial's. The cluster keeps to it where it can."""
        return trial.is_measured and (self.latency is None or (trial.latency is not None and not trial.unlike))

    def keeps(self, trial: Trial, teacher: float | None) -> bool:
        """Whether a trial is known to meet every bound."""
        return self.judges(trial) and not self.excess(trial, teacher)

    def excess(self, trial: Trial, teacher: float | None) -> dict[Bound, float]:
        """The bounds that a measured trial breaks, each with its excess as a share of the bound."""
        found: dict[Bound, float] = {}
        if self.bytes is not None and trial.bytes is not None and trial.bytes > self.bytes:
            found["bytes"] = trial.bytes / self.bytes - 1
        if self.latency is not None and trial.latency is not None and trial.latency > self.latency:
            found["latency"] = trial.latency / self.latency - 1
        lost = trial.lost(teacher)
        if self.drop is not None and lost is not None and lost > self.drop:
            found["drop"] = (lost - self.drop) / max(self.drop, LEAST_DROP)
        return found


def told(bound: Literal["bytes", "latency"], amount: float) -> str:
    """An amount with its unit."""
    return formatting.size(amount) if bound == "bytes" else f"{amount:.3g} ms"


def read_bytes(text: str) -> int:
    """`100kB`, `4 MB` or a number of bytes; raises UserError `bad_bytes`."""
    amount, given = _split(text)
    unit = given.lower()
    if unit not in UNITS or amount * UNITS.get(unit, 1) < 1:
        fix = "Write it as 60kB, 4MB or a number of bytes; a kB has 1,000 bytes."
        raise UserError("bad_bytes", "--max-bytes", text, "a size above zero", fix)
    return round(amount * UNITS[unit])


def read_milliseconds(text: str) -> float:
    """`2ms`, `0.5 ms`, `1s` or a number of milliseconds; raises UserError `bad_latency`."""
    amount, unit = _split(text)
    if unit not in TIMES or amount <= 0:
        fix = "Write it as 2ms, 0.5ms or a number of milliseconds."
        raise UserError("bad_latency", "--max-latency", text, "a time above zero", fix)
    return amount * TIMES[unit]


def check_drop(drop: float | None) -> float | None:
    """Points of percent from 0 to 100; raises UserError `out_of_range`."""
    if drop is not None and not 0 <= drop <= 100:
        fix = f"The nearest allowed value is {min(max(drop, 0), 100) if drop == drop else 1:g}."
        raise UserError("out_of_range", "--max-drop", drop, "points of percent from 0 to 100", fix)
    return drop


def _split(text: str) -> tuple[float, str]:
    found = AMOUNT.fullmatch(text)
    return (float(found[1]), found[2]) if found else (0.0, "?")
