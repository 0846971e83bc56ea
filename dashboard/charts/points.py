"""Every measured point of every run as one table, to be filtered, drawn and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import nan
from typing import Any

import pandas as pd

from core.comparison.speed import Conditions, conditions, in_turns
from core.points import Point
from core.runs import RunSummary
from core.runtimes import TITLES
from core.statistics.intervals import LOPSIDED

# how right answers are spread, and what they are worth beside others
SPREAD = ("macro_f1", "balanced_accuracy", "worst_recall", "top5_accuracy", "calibration_error", "agreement")
TEXTS = {
    "id": "",
    "run": "",
    "name": "",
    "run_name": "",
    "stage": "",
    "method": "",
    "dataset": "",
    "target": "",
    "backbone": "",
    "version": "",
    "runtime": "",
    "runtime_version": "",
    "device": "",
    "processor": "",
    "status": "",
    "worst_class": "",
    "artifact": "",
    "asked": "",
}
FIRST_SEED = ("first_seed", "first_seed_low", "first_seed_high")
NUMBERS = (
    "step",
    "accuracy",
    "low",
    "high",
    "sd",
    "seeds",
    *FIRST_SEED,
    "on_target",
    "target_low",
    "target_high",
    "target_sd",
    "validation",
    "bytes",
    "params",
    "macs",
    "p50",
    "p95",
    "apart",
    "threads",
    "batch",
    *SPREAD,
    "created",
    "finished",
    "chance",
    "chance_validation",
    "chance_target",
    "classes",
)
FLAGS = ("control", "sample", "noisy", "at_chance", "at_chance_on_target", "chance_counted")
COLUMNS = (*TEXTS, *NUMBERS, *FLAGS, "turns", "elsewhere", "tags")
IN_RUNTIME = (
    "runtime",
    "runtime_version",
    "device",
    "worst_class",
    "accuracy",
    "low",
    "high",
    "sd",
    "seeds",
    *FIRST_SEED,
    "on_target",
    "target_low",
    "target_high",
    "target_sd",
    "validation",
    "p50",
    "p95",
    "apart",
    "threads",
    "batch",
    *SPREAD,
    "noisy",
    "at_chance",
    "at_chance_on_target",
)
PLACES = tuple(COLUMNS.index(name) for name in IN_RUNTIME)
Row = tuple[Any, ...]


def info(summaries: Iterable[RunSummary], *, sample: bool = False) -> pd.DataFrame:
    """One row a point and control: shares of 1, bytes, milliseconds, seconds since 1970; NaN is: not measured.
    `target` names a dataset that `on_target` is the accuracy on, `version` the state of a dataset that can be edited;
    `at_chance` marks what is not proven better than `chance`.
    `low` and `high` are the ends of the test accuracy's 95 % interval; where `seeds` says how many were trained,
    `accuracy` is their mean, and `low` and `high` lie one deviation `sd` below and above it, which is no interval; the
    accuracy of the recipe's own seed and the ends of its interval are then those of FIRST_SEED. `artifact` is the file.

    `id` is `<run>:<step>`, that of a control `<run>:<step>:<name>`; `tags` holds tuples; a run's points are in a row.
    `turns` holds, for each point that its file was timed in turns with, its id and times, low, high and withheld as in
    `core.comparison.speed.Speed`; `elsewhere`, for each further runtime that measured the file, a tuple of the columns
    IN_RUNTIME. `asked` is the runtime of `seen_in`.
    """
    return table(row for summary in summaries for row in rows(summary, sample=sample))


def rows(summary: RunSummary, *, sample: bool = False) -> Iterator[Row]:
    """The rows of one run, in the order of COLUMNS; equal as long as its points are, since every NaN is `math.nan`."""
    version = summary.environment.get("dataset_version", "")
    names = (summary.dataset, summary.target, summary.backbone, version)
    run = (summary.id, summary.name, *names)
    times = (_number(summary.created), _number(summary.finished))
    for control, points in ((False, summary.points), (True, summary.controls)):
        for p in points:
            name = f"{summary.id}:{p.step}:{p.name}" if control else f"{summary.id}:{p.step}"
            where = conditions(p, summary.environment)
            flags, turns = (control, sample), _turns(p, summary)
            yield _row(name, run, where, summary.status.value, times, flags, turns, summary.tags, p)


def restored(row: Sequence[Any]) -> Row:
    """A row of a list that was kept as JSON, as `rows` made it."""
    *plain, turns, elsewhere, tags = row
    return (*plain, tuple(map(tuple, turns)), tuple(map(tuple, elsewhere)), tuple(tags))


def further_runtimes(points: pd.DataFrame) -> list[str]:
    """The known runtimes beside their own in which any of these points was measured."""
    names = dict.fromkeys(there[0] for found in points["elsewhere"] if found for there in found)
    return [name for name in names if name in TITLES]


def seen_in(points: pd.DataFrame, runtime: str) -> pd.DataFrame:
    """The points with the figures of a runtime, which the column `asked` then names. What was not measured in it has
    none, and names no runtime: nothing takes its place."""
    if not runtime:
        return points
    nowhere = tuple("" if name in TEXTS else False if name in FLAGS else nan for name in IN_RUNTIME)
    found = []
    for own, elsewhere in zip(points[list(IN_RUNTIME)].to_numpy(), points["elsewhere"], strict=True):
        known = {there[0]: there for there in (*elsewhere, tuple(own))}
        found.append(known.get(runtime, nowhere))
    seen = pd.DataFrame(found, columns=list(IN_RUNTIME), index=points.index)
    return points.assign(**{name: seen[name].astype(points[name].dtype) for name in IN_RUNTIME}, asked=runtime)


def table(found: Iterable[Row]) -> pd.DataFrame:
    """Rows as a table with the right types, also when there are none."""
    kinds = dict.fromkeys(TEXTS, "str") | dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(FLAGS, "bool")
    return pd.DataFrame(list(found), columns=list(COLUMNS)).astype(kinds)


def _row(
    name: str,
    run: tuple[str, str, str, str, str, str],
    where: Conditions,
    status: str,
    times: tuple[float, float],
    flags: tuple[bool, bool],
    turns: tuple[Row, ...],
    tags: tuple[str, ...],
    p: Point,
) -> Row:
    run_id, run_name, *names = run
    timed = p.latency_ms
    ran = (where.runtime, where.runtime_version, where.device) if timed else ("", "", "")
    took = (timed.p50, timed.p95, _number(timed.apart), timed.threads, timed.batch) if timed else (nan,) * 5
    there = (p.on_target, *p.target_whiskers, p.target_accuracy_sd)
    chance = p.chance
    luck = (chance.test, chance.validation, chance.target, chance.classes) if chance else (None,) * 4
    seeds = p.seeds if p.accuracy_sd is not None else None
    own = (p.accuracy, p.accuracy_low, p.accuracy_high) if seeds else (None,) * 3
    measured = (p.middle, *p.whiskers, p.accuracy_sd, seeds, *own, *there, p.judged)
    worst = p.spread.worst_class if p.spread else ""
    return (
        name,
        run_id,
        p.name,
        run_name,
        p.stage,
        p.method,
        *names,
        *ran,
        where.processor,
        status,
        worst,
        p.artifact or "",
        "",
        p.step,
        *map(_number, measured),
        *map(_number, (p.bytes, p.params, p.macs)),
        *took,
        *map(_number, _spread(p)),
        *times,
        *map(_number, luck),
        *flags,
        bool(timed and timed.noisy),
        p.is_at_chance,
        p.is_at_chance_on_target,
        bool(chance and chance.counted),
        turns,
        _elsewhere(p),
        tags,
    )


def _turns(p: Point, summary: RunSummary) -> tuple[Row, ...]:
    """The points that its file was timed in turns with, and what came of it."""
    found = in_turns(p, summary.points)
    return tuple((f"{summary.id}:{other.step}", s.times, s.low, s.high, s.withheld) for other, s in found)


def _elsewhere(p: Point) -> tuple[Row, ...]:
    """The figures in each further runtime, in the order of IN_RUNTIME."""
    found = []
    for name, there in (p.runtimes or {}).items():
        seen = p.seen_in(name).model_copy(update={"runtimes": None})
        where = conditions(seen)._replace(runtime_version=there.version)
        row = _row("", ("",) * 6, where, "", (nan, nan), (False, False), (), (), seen)
        found.append(tuple(row[place] for place in PLACES))
    return tuple(found)


def _spread(p: Point) -> tuple[float | None, ...]:
    """The figures of SPREAD."""
    known = p.spread
    spread = (
        (known.macro_f1, known.balanced_accuracy, known.worst_recall, known.top5_accuracy) if known else (None,) * 4
    )
    return (*spread, p.calibration_error, p.agreement)


def _number(value: float | None) -> float:
    return nan if value is None else float(value)


def spread(points: pd.DataFrame) -> pd.Series[float]:
    """What ± of a test accuracy is: the deviation over its seeds, else that of its 95 % interval."""
    return points["sd"].fillna(_around(points["accuracy"], points["low"], points["high"]))


def target_spread(points: pd.DataFrame) -> pd.Series[float]:
    """The same of an accuracy on the target."""
    return points["target_sd"].fillna(_around(points["on_target"], points["target_low"], points["target_high"]))


def _around(share: pd.Series[float], low: pd.Series[float], high: pd.Series[float]) -> pd.Series[float]:
    """`core.statistics.intervals.around` of every row."""
    half: pd.Series[float] = (high - low) / 2
    farther = (high - share).where(high - share > share - low, share - low)
    return half.where(~(farther - half > LOPSIDED), farther)
