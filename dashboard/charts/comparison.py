"""What differs between points: the settings that led to them, and their figures compared with a baseline's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.catalog import Catalog
from core.comparison.difference import Accuracy, Difference, Paired, judged
from core.comparison.speed import Conditions, Speed, Timed, of_medians
from core.options import Value
from core.recipe import Recipe
from dashboard.charts.points import FIRST_SEED

METHOD = "method"
CONTROL = "control"
RECIPE = -1  # in place of a step's number, for the knobs of the recipe itself
AND = ", "  # between words of a file, whatever the language
IMAGES = ("dataset", "version")  # an accuracy holds for these only
CONDITIONS = Conditions._fields  # a latency holds for these only
OF_SPEED = ("id", "sample", "asked", "turns", "p50", "p95", "apart", "noisy", *CONDITIONS)  # what `speed` reads


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
Figures = pd.Series | Mapping[Any, Any]  # the same, or its values by column
Judge = Callable[[Row, Row], Difference | None]  # of two test accuracies


@dataclass(frozen=True)
class Delta:
    """A point compared with a baseline: differences as shares of 1, ratios as point / baseline; None: not measured.

    `test` is the difference of the test accuracies with its verdict. `speed` says how many times faster the point is,
    with how that was measured or why it is withheld; None where either was not timed. `other_data`: measured on other
    images, so that accuracies are not compared.
    """

    test: Difference | None
    validation: float | None
    bytes: float | None
    params: float | None
    macs: float | None
    speed: Speed | None
    other_data: bool = False

    @property
    def latency(self) -> float | None:
        """The ratio of the latencies."""
        return 1 / self.speed.times if self.speed and self.speed.times else None

    @property
    def withheld(self) -> str:
        """Why there is no ratio of latencies, as `Speed.withheld`; empty where there is one or nothing was timed."""
        return self.speed.withheld if self.speed else ""


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
    """The difference of two rows' test accuracies; `count` as in `core.comparison.difference.judged`."""
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
    other = not of_same_images(point, baseline)
    return Delta(
        test=None if other else judge(point, baseline),
        validation=None if other else _difference(point, baseline, "validation"),
        bytes=_ratio(point, baseline, "bytes"),
        params=_ratio(point, baseline, "params"),
        macs=_ratio(point, baseline, "macs"),
        speed=speed(point, baseline),
        other_data=other,
    )


def speed(point: Figures, baseline: Figures) -> Speed | None:
    """How many times faster a row of the points is than another one: as the run timed both in turns, where it did and
    the figures are those of its own runtime; else by the two medians. None where either was not timed."""
    if pd.isna(point["p50"]) or pd.isna(baseline["p50"]):
        return None
    if not point["asked"] and not baseline["asked"]:
        if (found := _in_turns(point, baseline)) is not None:
            return found
        if (found := _in_turns(baseline, point)) is not None:
            return found.inverse()
    return of_medians(_timed(baseline), _timed(point))


def _in_turns(point: Figures, baseline: Figures) -> Speed | None:
    """What the receipt of `point` says of the two."""
    for name, times, low, high, withheld in point["turns"]:
        if name == baseline["id"] and point["sample"] == baseline["sample"]:
            return Speed(times, withheld, in_turns=True, low=low, high=high)
    return None


def _timed(row: Figures) -> Timed:
    where = Conditions(*(row[name] for name in CONDITIONS))
    return Timed(row["p50"], row["p95"], bool(row["noisy"]), _known(row["apart"]), where)


def of_same_images(one: Row[Any], other: Row[Any]) -> bool:
    """Whether the accuracies of two rows are of the same images."""
    return all(bool(one[name] == other[name]) for name in IMAGES)


BETTER, WORSE, OPEN, UNKNOWN = "better", "worse", "open", "unknown"  # of a difference
BASELINE = "baseline"  # in place of a verdict, of the baseline itself
DELTAS = ("accuracy", "bytes", "p50")  # columns of the points


def deltas(points: pd.DataFrame, baseline: Row[Any], judge: Judge = on_test) -> pd.DataFrame:
    """What `delta` says of every point at once, two columns a figure of DELTAS: `accuracy` as a difference of shares,
    `bytes` and `p50` as a share more (+) or less (−) than the baseline's; and `<figure>_is` BETTER, WORSE, OPEN (no
    difference was shown) or UNKNOWN (measured so that it cannot be compared). Both are empty where nothing was
    measured, and for the baseline itself. `test` and `speed` hold the Difference behind `accuracy` and the Speed
    behind `p50`, or None; `test_by` and `speed_by` what they rest on, or why there is none.
    """
    own = points["id"] == baseline["id"]
    same = (points["dataset"] == baseline["dataset"]) & (points["version"] == baseline["version"]) & ~own
    found = pd.DataFrame(index=points.index)
    rows = zip(same, points.iterrows(), strict=True)
    tests = [judge(row, baseline) if alike else None for alike, (_, row) in rows]
    speeds = [None if mine else speed(row, baseline) for mine, row in zip(own, points.to_dict("records"), strict=True)]
    none = np.where(own, BASELINE, np.where(same, "not measured", "other images"))
    found["test_by"] = [_rests_on(test) or why for test, why in zip(tests, none, strict=True)]
    found["speed_by"] = [
        _timed_by(told) or (BASELINE if mine else "not timed") for mine, told in zip(own, speeds, strict=True)
    ]
    found["test"] = pd.Series(tests, index=points.index, dtype=object)
    found["accuracy"] = [np.nan if test is None else test.share for test in tests]
    found["accuracy_is"] = [_word(test) for test in tests]
    found["bytes"] = (points["bytes"] / baseline["bytes"] - 1).mask(own)
    found["bytes_is"] = [_cost_word(more) for more in found["bytes"]]
    found["speed"] = pd.Series(speeds, index=points.index, dtype=object)
    medians = points["p50"] / baseline["p50"] - 1
    open_ = np.array([told is not None and told.withheld == "noise" and not told.in_turns for told in speeds], bool)
    found["p50"] = pd.Series([_more(told) for told in speeds], points.index, dtype=float).mask(open_, medians)
    found["p50_is"] = [_speed_word(told) for told in speeds]
    return found


def _rests_on(test: Difference | None) -> str:
    if test is None:
        return ""
    return f"{test.basis or 'not judged'}{f'{AND}first seed' if test.first_seed else ''}"


def _timed_by(found: Speed | None) -> str:
    if found is None:
        return ""
    of_what = f"{found.withheld}: {AND.join(found.unlike)}" if found.unlike else found.withheld
    return found.basis or of_what


def _more(found: Speed | None) -> float:
    """By which share a latency is more than the baseline's; NaN where that is not told."""
    return 1 / found.times - 1 if found and found.times else np.nan


def _speed_word(found: Speed | None) -> str:
    if found is None:
        return ""
    if found.withheld:
        return OPEN if found.withheld == "noise" else UNKNOWN
    return _cost_word(_more(found))


def _cost_word(more: float) -> str:
    """Of a cost, of which less is better."""
    if np.isnan(more):
        return ""
    return BETTER if more < 0 else WORSE if more > 0 else OPEN


def _word(test: Difference | None) -> str:
    if test is None:
        return ""
    if test.proven is None:
        return UNKNOWN
    return (BETTER if test.share > 0 else WORSE) if test.proven else OPEN


def _difference(one: pd.Series[Any], other: pd.Series[Any], name: str) -> float | None:
    found = one[name] - other[name]
    return None if pd.isna(found) else float(found)


def _ratio(one: pd.Series[Any], other: pd.Series[Any], name: str) -> float | None:
    if pd.isna(one[name]) or pd.isna(other[name]) or not other[name]:
        return None
    return float(one[name] / other[name])
