"""What a person can afford, the best within it and what is cheaper. Choosing is done on validation, telling on test."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from dashboard.charts.comparison import OF_SPEED, Judge, Row, on_test, speed

MATTERS = 1.05  # times smaller or faster: less is nothing to choose by
MOST_JUDGED = 200  # points that are held against the best until one is as good; half a millisecond each


@dataclass(frozen=True)
class Bounds:
    """At most so many bytes and milliseconds, at least such a validation accuracy (a share of 1); None: no bound."""

    bytes: float | None = None
    p50: float | None = None
    validation: float | None = None

    @property
    def are_set(self) -> bool:
        return any(getattr(self, field.name) is not None for field in fields(self))


def feasible(points: pd.DataFrame, bounds: Bounds) -> pd.Series[bool]:
    """Which points keep all bounds; what was not measured keeps none."""
    fits = pd.Series(True, index=points.index)
    for kept in within(points, bounds).values():
        fits &= kept
    return fits


def within(points: pd.DataFrame, bounds: Bounds) -> dict[str, pd.Series[bool]]:
    """Which points keep each bound that is set, by its name."""
    found: dict[str, pd.Series[bool]] = {}
    for name, most in (("bytes", bounds.bytes), ("p50", bounds.p50)):
        if most is not None:
            found[name] = points[name] <= most
    if bounds.validation is not None:  # a hair below it: 0.8 - 0.01 is not 0.79
        found["validation"] = points["validation"] >= bounds.validation - 1e-9
    return found


def usable(points: pd.DataFrame) -> pd.Series[bool]:
    """Which points may be recommended: no control, which is there to compare with, none at chance, and none measured
    on other images than the newest."""
    return ~points["control"] & ~points["at_chance"] & on_newest_images(points)


def on_newest_images(points: pd.DataFrame) -> pd.Series[bool]:
    """Which points were measured on the state of their dataset that the newest run was measured on."""
    newest = points.sort_values("created", kind="stable", na_position="first").drop_duplicates("dataset", keep="last")
    versions: pd.Series[str] = points["dataset"].map(newest.set_index("dataset")["version"])
    result: pd.Series[bool] = (points["version"] == versions).astype(bool)
    return result


def best(points: pd.DataFrame, bounds: Bounds | None = None) -> str:
    """The id of the usable point within the bounds with the highest validation accuracy, the smaller file winning a
    tie; empty if none."""
    known = points[feasible(points, bounds or Bounds()) & usable(points)].dropna(subset=["validation"])
    known = known.sort_values(["validation", "bytes"], ascending=[False, True], kind="stable")
    return str(known["id"].iloc[0]) if len(known) else ""


def cheaper(points: pd.DataFrame, bounds: Bounds, than: str, judge: Judge = on_test) -> list[str]:
    """The ids of usable points within the bounds that are smaller or faster than the point `than`: the smallest of
    those that `judge` does not show to differ in test accuracy, the smallest of all, the fastest of all that were timed
    as it was."""
    kept = points[feasible(points, bounds) & usable(points)].dropna(subset=["validation"])
    top = points[points["id"] == than].iloc[0]
    others = kept[kept["id"] != than]
    smaller = others[others["bytes"] * MATTERS < top["bytes"]]
    smaller = smaller.sort_values(["bytes", "validation"], ascending=[True, False], kind="stable")
    alike = _as_good(smaller, top, judge)
    found = [group["id"].iloc[0] for group in (alike, smaller, _fastest(others, top)) if len(group)]
    return list(dict.fromkeys(map(str, found)))


def _as_good(points: pd.DataFrame, top: Row[Any], judge: Judge) -> pd.DataFrame:
    """The first of the points that is not shown to differ from `top`; those of one seed whose intervals lie apart are,
    by any test."""
    near = points[((points["low"] <= top["high"]) & (top["low"] <= points["high"])) | points["seeds"].notna()]
    for place, row in near.head(MOST_JUDGED).iterrows():
        if (found := judge(row, top)) is not None and found.proven is False:
            return points.loc[[place]]
    return points.head(0)


def _fastest(points: pd.DataFrame, top: Row[Any]) -> pd.DataFrame:
    """The first by latency of the points that are faster than `top` beyond the noise, as `comparison.speed` says; of
    other runs only those with a lower latency are asked."""
    asked = points[(points["run"] == top["run"]) | (points["p50"] * MATTERS < top["p50"]) & ~points["noisy"]]
    for place, row in asked[list(OF_SPEED)].sort_values("p50", kind="stable").iterrows():
        if (found := speed(row, top)) is not None and found.times is not None and found.times > MATTERS:
            return points.loc[[place]]
    return points.head(0)
