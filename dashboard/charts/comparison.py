"""What differs between points: the settings that led to them, and their figures beside a baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.catalog import Catalog
from core.options import Value
from core.recipe import Recipe

METHOD = "method"
CONTROL = "control"
RECIPE = -1  # in place of a step's number, for the knobs of the recipe itself
CONDITIONS = ("runtime", "device", "threads", "batch", "processor")  # a latency holds for these only


@dataclass(frozen=True, order=True)
class Setting:
    """Which knob: of the recipe (step RECIPE, no stage), a step's option, or METHOD, which tells what the step is."""

    step: int
    stage: str
    name: str


@dataclass(frozen=True)
class Change:
    """A setting on which points differ, with each one's value; None where a point has no such setting."""

    setting: Setting
    values: tuple[Value | None, ...]


@dataclass(frozen=True)
class Delta:
    """A point beside a baseline: differences as shares of 1, ratios as point / baseline; None: not measured.

    `overlap`: the 95 % intervals of the test accuracies overlap. `withheld` says why there is no ratio of latencies:
    `noisy` (the machine was busy), `conditions` (other runtime, threads, machine …), `noise` (median and 95th
    percentile of both overlap); else it is empty.
    """

    accuracy: float | None
    overlap: bool | None
    validation: float | None
    bytes: float | None
    params: float | None
    macs: float | None
    latency: float | None
    withheld: str = ""


def settings(recipe: Recipe, step: int, control: str = "", catalog: Catalog | None = None) -> dict[Setting, Value]:
    """Everything that led to the point of `step`, defaults written out; the recipe's name is no setting."""
    found: dict[Setting, Value] = {
        Setting(RECIPE, "", name): value for name, value in recipe.knobs().items() if name != "name"
    }
    for place, link in enumerate(recipe.resolved(catalog).steps[: step + 1]):
        found[Setting(place, "", METHOD)] = f"{link.stage}.{link.method}"
        found |= {Setting(place, link.stage, name): value for name, value in link.options.items()}
    return found | ({Setting(step, "", CONTROL): control} if control else {})


def changes(points: Sequence[Mapping[Setting, Value]]) -> list[Change]:
    """The settings on which at least two of `points` differ, in the order of the chain.

    Of a step that only some have, the method is told, and only those of its options on which they differ.
    """
    names = dict.fromkeys(name for point in points for name in point)
    found = []
    for name in sorted(names, key=lambda s: (s.step, s.stage != "", list(names).index(s))):
        values = tuple(point.get(name) for point in points)
        compared = set(values) if name.name in (METHOD, CONTROL) else {v for v in values if v is not None}
        if len(compared) > 1:
            found.append(Change(name, values))
    return found


def delta(point: pd.Series[Any], baseline: pd.Series[Any]) -> Delta:
    """A row of the points beside another one."""
    withheld = _withheld(point, baseline)
    return Delta(
        accuracy=_difference(point, baseline, "accuracy"),
        overlap=_overlap(point, baseline),
        validation=_difference(point, baseline, "validation"),
        bytes=_ratio(point, baseline, "bytes"),
        params=_ratio(point, baseline, "params"),
        macs=_ratio(point, baseline, "macs"),
        latency=None if withheld else _ratio(point, baseline, "p50"),
        withheld=withheld,
    )


def _withheld(one: pd.Series[Any], other: pd.Series[Any]) -> str:
    if pd.isna(one["p50"]) or pd.isna(other["p50"]):
        return ""
    if one["noisy"] or other["noisy"]:
        return "noisy"
    if any(one[name] != other[name] for name in CONDITIONS):
        return "conditions"
    fast, slow = sorted((one, other), key=lambda row: float(row["p50"]))
    return "noise" if fast["p95"] >= slow["p50"] else ""


def _overlap(one: pd.Series[Any], other: pd.Series[Any]) -> bool | None:
    ends = [row[end] for row in (one, other) for end in ("low", "high")]
    if any(pd.isna(end) for end in ends):
        return None
    return bool(one["low"] <= other["high"] and other["low"] <= one["high"])


def _difference(one: pd.Series[Any], other: pd.Series[Any], name: str) -> float | None:
    found = one[name] - other[name]
    return None if pd.isna(found) else float(found)


def _ratio(one: pd.Series[Any], other: pd.Series[Any], name: str) -> float | None:
    if pd.isna(one[name]) or pd.isna(other[name]) or not other[name]:
        return None
    return float(one[name] / other[name])
