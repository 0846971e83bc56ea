"""What is shown of a point when the mouse rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

import pandas as pd

from core.runtimes import title
from core.text import formatting
from core.text.escaping import UserText
from core.text.formatting import Amount
from dashboard.charts.points import spread

LONGEST = 60  # characters of a name


@dataclass(frozen=True)
class Spread:
    """What ± is, in words: of one seed, and of several, with a place for their `count`; and where the words go."""

    interval: str = ""
    seeds: str = ""
    form: str = "{value} ({what})"


PLAIN = Spread()


def texts(
    points: pd.DataFrame,
    form: str,
    sample: str,
    settings: Mapping[str, str],
    chance: str = "",
    spread_of: Spread = PLAIN,
) -> list[str]:
    """A text a point: `form` has places for name, run, step, accuracy, chance, validation, bytes, params, macs, p50,
    p95, runtime, threads and settings; `sample` is put before the run's name where it came along, `chance` with its
    brackets behind an accuracy that is not proven better, and `spread_of` behind its ± what that is."""
    names = {name: escaped(name) for name in pd.unique(points["run_name"])}
    steps = {name: escaped(name) for name in pd.unique(points["name"])}
    columns = (
        points["run_name"].map(names),
        points["name"].map(steps),
        points["accuracy"],
        spread(points),
        points["seeds"],
        *(points[c] for c in ("id", "sample", "step", "validation", "bytes", "params", "macs", "p50", "p95")),
        *(points[c] for c in ("at_chance", "noisy", "runtime", "threads")),
    )
    found = []
    for values in zip(*(column.tolist() for column in columns), strict=True):
        run, name, accuracy, around, seeds, ident, came, step, validation, size, params, macs, p50, p95, *where = values
        luck, noisy, runtime, threads = where
        found.append(
            form.format(
                run=f"{sample} {run}" if came else run,
                name=name,
                step=int(step) + 1,
                accuracy=plus_minus(accuracy, around, seeds, spread_of),
                chance=chance if luck else "",
                validation=formatting.percent(_known(validation)),
                bytes=formatting.size(_known(size)),
                params=formatting.count(_known(params)),
                macs=formatting.count(_known(macs)),
                p50=milliseconds(p50, noisy),
                p95=milliseconds(p95, noisy),
                runtime=escaped(title(runtime)) or formatting.NOT_MEASURED,
                threads=Amount(int(threads) if threads == threads else formatting.NOT_MEASURED),
                settings=settings.get(ident, ""),
            )
        )
    return found


def escaped(name: str) -> str:
    """A person's text for Plotly, not longer than fits beside a point."""
    return UserText(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…").plot()


def plus_minus(share: float, around: float, seeds: float = nan, spread_of: Spread = PLAIN) -> str:
    """A test accuracy with its ±, and behind it what the ± is: of one seed the 95 % interval, else the deviation over
    the seeds. A missing figure is NaN."""
    if share != share:
        return formatting.NOT_MEASURED
    if around != around:
        return formatting.percent(share)
    words = spread_of.interval if seeds != seeds else spread_of.seeds.format(count=f"{seeds:.0f}")
    told = f"{100 * share:.1f} ± {100 * around:.1f} %"
    return spread_of.form.format(value=told, what=words) if words else told


def milliseconds(value: float, noisy: bool = False) -> str:
    """A time with two digits, a tilde where the machine was busy; a missing figure is NaN."""
    return formatting.NOT_MEASURED if value != value else f"{'~' if noisy else ''}{formatting.two_digits(value)} ms"


def _known(value: float) -> float | None:
    return None if value != value else value
