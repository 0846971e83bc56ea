"""What differs between points: the settings that led to them, and their figures compared with a baseline's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.catalog import Catalog
from core.difference import Accuracy, Difference, Paired, judged
from core.options import Value
from core.recipe import Recipe
from dashboard.charts.points import FIRST_SEED

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


Row = pd.Series  # a row of the points
Judge = Callable[[Row, Row], Difference | None]  # of two test accuracies


@dataclass(frozen=True)
class Delta:
    """A point compared with a baseline: differences as shares of 1, ratios as point / baseline; None: not measured.

    `test` is the difference of the test accuracies with its verdict. `withheld` says why there is no ratio of
    latencies: `noisy` (the machine was busy), `conditions` (other runtime, threads, machine …), `noise` (median and
    95th percentile of both overlap); else it is empty. `other_data`: measured on other images, so that accuracies are
    not compared.
    """

    test: Difference | None
    validation: float | None
    bytes: float | None
    params: float | None
    macs: float | None
    latency: float | None
    withheld: str = ""
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


def on_test(
    point: Row[Any], baseline: Row[Any], count: Callable[[], Paired | None] = lambda: None
) -> Difference | None:
    """The difference of two rows' test accuracies; `count` as in `core.difference.judged`."""
    return judged(_accuracy(point), _accuracy(baseline), count)


def _accuracy(row: Row[Any]) -> Accuracy:
    """A row's test accuracy; of means over seeds FIRST_SEED has that of the recipe's own seed."""
    if pd.isna(row["seeds"]):
        own, low, high = (_known(row[name]) for name in ("accuracy", "low", "high"))
        return Accuracy(own, low, high)
    own, low, high = (_known(row[name]) for name in FIRST_SEED)
    return Accuracy(own, low, high, _known(row["accuracy"]), _known(row["sd"]), int(row["seeds"]))


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def delta(point: Row[Any], baseline: Row[Any], judge: Judge = on_test) -> Delta:
    """A row of the points compared with another one; `judge` has the verdict about their test accuracies."""
    withheld = _withheld(point, baseline)
    other = not of_same_images(point, baseline)
    return Delta(
        test=None if other else judge(point, baseline),
        validation=None if other else _difference(point, baseline, "validation"),
        bytes=_ratio(point, baseline, "bytes"),
        params=_ratio(point, baseline, "params"),
        macs=_ratio(point, baseline, "macs"),
        latency=None if withheld else _ratio(point, baseline, "p50"),
        withheld=withheld,
        other_data=other,
    )


def of_same_images(one: Row[Any], other: Row[Any]) -> bool:
    """Whether the accuracies of two rows are of the same images."""
    return all(bool(one[name] == other[name]) for name in IMAGES)


BETTER, WORSE, OPEN, UNKNOWN = "better", "worse", "open", "unknown"  # of a difference
DELTAS = ("accuracy", "bytes", "p50")  # columns of the points


def deltas(points: pd.DataFrame, baseline: Row[Any], judge: Judge = on_test) -> pd.DataFrame:
    """What `delta` says of every point at once, two columns a figure of DELTAS: `accuracy` as a difference of shares,
    `bytes` and `p50` as a share more (+) or less (−) than the baseline's; and `<figure>_is` BETTER, WORSE, OPEN (no
    difference was shown) or UNKNOWN (measured so that it cannot be compared). Both are empty where nothing was
    measured, and for the baseline itself. `test` holds the Difference behind `accuracy`, or None.
    """
    own = points["id"] == baseline["id"]
    same = (points["dataset"] == baseline["dataset"]) & (points["version"] == baseline["version"]) & ~own
    found = pd.DataFrame(index=points.index)
    rows = zip(same, points.iterrows(), strict=True)
    tests = [judge(row, baseline) if alike else None for alike, (_, row) in rows]
    found["test"] = pd.Series(tests, index=points.index, dtype=object)
    found["accuracy"] = [np.nan if test is None else test.share for test in tests]
    found["accuracy_is"] = [_word(test) for test in tests]
    found["bytes"] = points["bytes"] / baseline["bytes"] - 1
    found["bytes_is"] = _verdicts(found["bytes"])
    ratio = points["p50"] / baseline["p50"] - 1
    alike = pd.Series(True, index=points.index)
    for name in CONDITIONS:
        alike &= points[name] == baseline[name]
    unknown = points["noisy"] | bool(baseline["noisy"]) | ~alike
    slower = points["p50"] > baseline["p50"]
    within = (points["p95"] >= baseline["p50"]).where(~slower, baseline["p95"] >= points["p50"])
    found["p50"] = ratio.where(~unknown)
    found["p50_is"] = _verdicts(ratio, open_=within, unknown=unknown)
    found.loc[own, ["bytes_is", "p50_is"]] = ""
    found.loc[own, ["bytes", "p50"]] = np.nan
    return found


def _word(test: Difference | None) -> str:
    if test is None:
        return ""
    if test.proven is None:
        return UNKNOWN
    return (BETTER if test.share > 0 else WORSE) if test.proven else OPEN


def _verdicts(
    difference: pd.Series[float], *, open_: pd.Series[bool] | None = None, unknown: pd.Series[bool] | None = None
) -> pd.Series[str]:
    """A word for each difference of a cost, of which less is better."""
    found = np.where(difference < 0, BETTER, np.where(difference > 0, WORSE, OPEN))
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


def _difference(one: pd.Series[Any], other: pd.Series[Any], name: str) -> float | None:
    found = one[name] - other[name]
    return None if pd.isna(found) else float(found)


def _ratio(one: pd.Series[Any], other: pd.Series[Any], name: str) -> float | None:
    if pd.isna(one[name]) or pd.isna(other[name]) or not other[name]:
        return None
    return float(one[name] / other[name])
