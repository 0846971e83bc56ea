"""What differs between points: the settings that led to them, and their figures compared with a baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.catalog import Catalog
from core.options import Value
from core.recipe import Recipe

METHOD = "method"
CONTROL = "control"
RECIPE = -1  # in place of a step's number, for the knobs of the recipe itself
IMAGES = ("dataset", "version")  # an accuracy holds for these only
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
    """A point compared with a baseline: differences as shares of 1, ratios as point / baseline; None: not measured.

    `overlap`: the 95 % intervals of the test accuracies overlap; with `seeds` both are means over as many seeds, and
    what overlaps is the spans of one deviation around the means. It is None with `unlike_seeds`, where they are not of
    equally many seeds. `withheld` says why there is no ratio of latencies: `noisy` (the machine was busy),
    `conditions` (other runtime, threads, machine …), `noise` (median and 95th percentile of both overlap); else it is
    empty. `other_data`: measured on other images, so that accuracies are not compared.
    """

    accuracy: float | None
    overlap: bool | None
    validation: float | None
    bytes: float | None
    params: float | None
    macs: float | None
    latency: float | None
    withheld: str = ""
    seeds: bool = False
    unlike_seeds: bool = False
    other_data: bool = False


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
    """A row of the points compared with another one."""
    withheld = _withheld(point, baseline)
    other = any(point[name] != baseline[name] for name in IMAGES)
    return Delta(
        accuracy=None if other else _difference(point, baseline, "accuracy"),
        overlap=None if other else _overlap(point, baseline),
        validation=None if other else _difference(point, baseline, "validation"),
        bytes=_ratio(point, baseline, "bytes"),
        params=_ratio(point, baseline, "params"),
        macs=_ratio(point, baseline, "macs"),
        latency=None if withheld else _ratio(point, baseline, "p50"),
        withheld=withheld,
        seeds=bool(pd.notna(point["seeds"])),
        unlike_seeds=not _alike_in_seeds(point, baseline),
        other_data=other,
    )


BETTER, WORSE, OPEN, UNKNOWN = "better", "worse", "open", "unknown"  # of a difference
DELTAS = ("accuracy", "bytes", "p50")  # columns of the points


def deltas(points: pd.DataFrame, baseline: pd.Series[Any]) -> pd.DataFrame:
    """What `delta` says of every point at once, two columns a figure of DELTAS: `accuracy` as a difference of shares,
    `bytes` and `p50` as a share more (+) or less (−) than the baseline's; and `<figure>_is` BETTER, WORSE, OPEN (no
    difference was shown) or UNKNOWN (measured so that it cannot be compared). Both are empty where nothing was
    measured, and for the baseline itself.
    """
    same = (points["dataset"] == baseline["dataset"]) & (points["version"] == baseline["version"])
    apart = ~((points["low"] <= baseline["high"]) & (baseline["low"] <= points["high"]))
    told = _as_many_seeds(points["seeds"], baseline["seeds"])
    told &= points["low"].notna() & points["high"].notna() & pd.notna(baseline["low"]) & pd.notna(baseline["high"])
    found = pd.DataFrame(index=points.index)
    found["accuracy"] = (points["accuracy"] - baseline["accuracy"]).where(same)
    found["accuracy_is"] = _verdicts(found["accuracy"], 1, open_=~(told & apart), unknown=~told & same)
    found["bytes"] = points["bytes"] / baseline["bytes"] - 1
    found["bytes_is"] = _verdicts(found["bytes"], -1)
    ratio = points["p50"] / baseline["p50"] - 1
    alike = pd.Series(True, index=points.index)
    for name in CONDITIONS:
        alike &= points[name] == baseline[name]
    unknown = points["noisy"] | bool(baseline["noisy"]) | ~alike
    slower = points["p50"] > baseline["p50"]
    within = (points["p95"] >= baseline["p50"]).where(~slower, baseline["p95"] >= points["p50"])
    found["p50"] = ratio.where(~unknown)
    found["p50_is"] = _verdicts(ratio, -1, open_=within, unknown=unknown)
    own = points["id"] == baseline["id"]
    found.loc[own, [f"{name}_is" for name in DELTAS]] = ""
    found.loc[own, list(DELTAS)] = np.nan
    return found


def _as_many_seeds(seeds: pd.Series[float], of_baseline: float) -> pd.Series[bool]:
    """Which points have as many seeds as the baseline, so that the ends of both are of the same kind."""
    return seeds.isna() if pd.isna(of_baseline) else seeds == of_baseline


def _verdicts(
    difference: pd.Series[float], way: int, *, open_: pd.Series[bool] | None = None,
    unknown: pd.Series[bool] | None = None,
) -> pd.Series[str]:  # fmt: skip
    """A word for each difference: more is better where `way` is 1, less where it is −1."""
    found = np.where(difference * way > 0, BETTER, np.where(difference * way < 0, WORSE, OPEN))
    for word, where in ((OPEN, open_), (UNKNOWN, unknown)):
        found = found if where is None else np.where(where, word, found)
    return pd.Series(np.where(difference.isna(), "", found), difference.index, "str")


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
    if not _alike_in_seeds(one, other) or any(pd.isna(end) for end in ends):
        return None
    return bool(one["low"] <= other["high"] and other["low"] <= one["high"])


def _alike_in_seeds(one: pd.Series[Any], other: pd.Series[Any]) -> bool:
    """Whether both are means over as many seeds, or neither is a mean."""
    return bool(one["seeds"] == other["seeds"] or (pd.isna(one["seeds"]) and pd.isna(other["seeds"])))


def _difference(one: pd.Series[Any], other: pd.Series[Any], name: str) -> float | None:
    found = one[name] - other[name]
    return None if pd.isna(found) else float(found)


def _ratio(one: pd.Series[Any], other: pd.Series[Any], name: str) -> float | None:
    if pd.isna(one[name]) or pd.isna(other[name]) or not other[name]:
        return None
    return float(one[name] / other[name])
