"""What a person can afford, and the smallest file within it. Choosing is done on validation, telling on test."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pandas as pd


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


def best(points: pd.DataFrame) -> str:
    """The id of the point with the highest validation accuracy, the smaller file winning a tie; empty if none."""
    known = points[~points["control"]].dropna(subset=["validation"])
    known = known.sort_values(["validation", "bytes"], ascending=[False, True], kind="stable")
    return str(known["id"].iloc[0]) if len(known) else ""


def smallest(points: pd.DataFrame, bounds: Bounds) -> str:
    """The id of the smallest file within the bounds, the more accurate on validation winning a tie; empty if none.

    A control is never chosen: it is there to compare with, not to be used.
    """
    known = points[feasible(points, bounds) & ~points["control"]].dropna(subset=["bytes", "validation"])
    known = known.sort_values(["bytes", "validation"], ascending=[True, False], kind="stable")
    return str(known["id"].iloc[0]) if len(known) else ""
