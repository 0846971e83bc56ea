"""The settings behind points as columns: to filter by, and to draw as axes."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import pandas as pd

from core.options import Value
from dashboard.charts.comparison import CONTROL, METHOD, RECIPE, Setting

UNUSED = ("dataset", "target", "pool", "device", "threads")  # of the recipe: chosen elsewhere, or not the network's
BETWEEN, OR = ":", "|"  # neither is left in a quoted value
WRITTEN = re.compile(r"([a-z_]+)(\d*)\.(\w+)")
MOST_VALUES = 8  # of a numeric setting; more are chosen by their span


@dataclass(frozen=True)
class Knob:
    """A setting wherever it is in a chain: the recipe's (no stage), or an option or METHOD of the `place`-th step of a
    stage, counted from 1."""

    stage: str
    place: int
    name: str

    def __str__(self) -> str:
        where = (self.stage or "recipe") + (str(self.place) if self.place > 1 else "")
        return f"{where}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> Knob:
        """The knob that `str` wrote; raises ValueError on what it did not write."""
        found = WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} names no setting")
        stage, place, name = found.groups()
        return cls("" if stage == "recipe" else stage, int(place or 1), name)


def knobs(given: Mapping[Setting, Value]) -> dict[Knob, Value]:
    """The settings of a point (see `comparison.settings`) by knob; a step's method under its own name."""
    stages: dict[int, Knob] = {}
    found: dict[Knob, Value] = {}
    for setting, value in sorted(given.items(), key=lambda pair: (pair[0].step, pair[0].name != METHOD)):
        if setting.step == RECIPE:
            if setting.name not in UNUSED:
                found[Knob("", 1, setting.name)] = value
        elif setting.name == METHOD and not setting.stage:
            stage, _, method = str(value).partition(".")
            place = 1 + sum(known.stage == stage for known in stages.values())
            stages[setting.step] = Knob(stage, place, METHOD)
            found[stages[setting.step]] = method
        elif setting.name != CONTROL or setting.stage:
            step = stages[setting.step]
            found[Knob(step.stage, step.place, setting.name)] = value
    return found


def info(points: Mapping[str, Mapping[Setting, Value]], also: Collection[str] = ()) -> pd.DataFrame:
    """A row a point by its id, a column a knob, by its text, on which at least two of the points differ, or that is one
    of `also`; None where a point has no such knob."""
    rows = {ident: {str(name): value for name, value in knobs(given).items()} for ident, given in points.items()}
    values: dict[str, set[Value]] = {}
    for row in rows.values():
        for name, value in row.items():
            values.setdefault(name, set()).add(value)
    kept = [name for name, different in values.items() if len(different) > 1 or name in also]
    table = {name: pd.Series([row.get(name) for row in rows.values()], list(rows), dtype=object) for name in kept}
    return pd.DataFrame(table, index=pd.Index(list(rows), dtype="str"))


def is_number(values: pd.Series[Any]) -> bool:
    """Whether every value of a knob that points have is a number."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values.dropna())


# filters: `prune.ratio=0.5|0.7` or `prune.ratio=0.3:0.7`


@dataclass(frozen=True)
class Wanted:
    """Which values of a knob pass: any of `values`, or those from `low` to `high`."""

    knob: str
    values: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if self.values:
            return f"{self.knob}={OR.join(quote(value, safe='') for value in self.values)}"
        ends = ("" if math.isinf(end) else f"{end:.10g}" for end in (self.low, self.high))
        return f"{self.knob}={BETWEEN.join(ends)}"

    @property
    def is_set(self) -> bool:
        """Whether it lets anything less than everything pass."""
        return bool(self.values) or not (math.isinf(self.low) and math.isinf(self.high))

    def fits(self, value: object) -> bool:
        """Whether a value passes; a point without the knob does not."""
        if value is None or value != value:
            return False
        if self.values:
            return written(value) in self.values
        return isinstance(value, int | float) and self.low <= value <= self.high


def written(value: object) -> str:
    """A value as a filter has it."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def wanted(text: str) -> Wanted | None:
    """What `str` of a filter wrote; None where that is none."""
    knob, sign, rest = text.partition("=")
    if not sign or not knob:
        return None
    if BETWEEN in rest:
        low, _, high = rest.partition(BETWEEN)
        ends = _end(low, -math.inf), _end(high, math.inf)
        return None if ends[0] is None or ends[1] is None else Wanted(knob, (), ends[0], ends[1])
    return Wanted(knob, tuple(unquote(value) for value in rest.split(OR)) if rest else ())


def _end(text: str, otherwise: float) -> float | None:
    if not text:
        return otherwise
    try:
        number = float(f"{float(text):.10g}")  # as it is written
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def passing(table: pd.DataFrame, filters: Sequence[Wanted]) -> pd.Series[bool]:
    """Which rows of an `info` pass every filter; one that names no column there is off."""
    kept = pd.Series(True, index=table.index)
    for one in filters:
        if one.knob in table and one.is_set:
            kept &= table[one.knob].map(one.fits).astype(bool)
    return kept
