"""Two points of Trade-offs compared: the one verdict about their test accuracies, by the runs' stored answers where the
figures shown are those of the files that gave them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from core.comparison.difference import Difference, Paired
from core.comparison.gap import in_run
from core.comparison.paired import Right, compared, pairing, right, with_verdicts
from core.errors import UserError
from core.points import Point
from core.run_files.samples import sample
from core.runs import Run
from dashboard.charts import comparison
from dashboard.charts.comparison import Delta, of_same_images
from dashboard.session import workspace

Row = pd.Series  # a row of the points


def delta(row: Row[Any], beside: Row[Any]) -> Delta:
    """What a point gains and loses beside another."""
    return comparison.delta(row, beside, on_test)


def deltas(points: pd.DataFrame, beside: Row[Any]) -> pd.DataFrame:
    """The same of many points."""
    return comparison.deltas(points, beside, on_test)


def on_test(row: Row[Any], beside: Row[Any]) -> Difference | None:
    """The difference of two test accuracies on the same images, with its verdict."""
    if _are_twins(row, beside):
        run, one, other = run_of(row), point_of(row), point_of(beside)
        if run is not None and one is not None and other is not None:
            return in_run(one, other, pairing(run))
    return comparison.on_test(row, beside, lambda: _counts(row, beside))


def _are_twins(row: Row[Any], beside: Row[Any]) -> bool:
    """Whether they are the same step of one run, as its own runtime has it, one of them without a teacher."""
    same = all(row[name] == beside[name] for name in ("run", "step", "sample")) and not row["asked"]
    return same and row["control"] != beside["control"] and not pd.isna(row["seeds"])


def _counts(row: Row[Any], beside: Row[Any]) -> Paired | None:
    """On how many images only one of the two is right; None where that is not known."""
    if not of_same_images(row, beside):
        return None
    return compared(_right(row), _right(beside))


def _right(row: Row[Any]) -> Right | None:
    """What a point's file answers correctly; None of figures of a further runtime, which its answers are not."""
    if row["sample"] or row["asked"] or not row["artifact"]:
        return None
    return right(Run(workspace().path / "runs" / str(row["run"])), str(row["artifact"]))


def run_of(row: Row[Any]) -> Run | None:
    """The run that a point belongs to; None if it was deleted meanwhile."""
    try:
        return sample(row["run"]) if row["sample"] else workspace().run(row["run"])
    except UserError:
        return None


def point_of(row: Row[Any]) -> Point | None:
    """The whole point with its receipt; None if its run was deleted meanwhile."""
    run = run_of(row)
    if run is None:
        return None
    summary = with_verdicts(run, run.summary())
    found = (p for p in (summary.controls if row["control"] else summary.points) if p.step == row["step"])
    return next((p for p in found if p.name == row["name"]), None)
