"""What is told of a point when the mouse rests on it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from core import formatting
from core.escaping import UserText
from core.formatting import Amount
from dashboard.charts.points import spread

LONGEST = 60  # characters of a name


def texts(points: pd.DataFrame, form: str, sample: str, settings: Mapping[str, str], chance: str = "") -> list[str]:
    """A text a point: `form` has places for name, run, step, accuracy, chance, validation, bytes, params, macs, p50,
    p95, runtime, threads and settings; `sample` is put before the run's name where it came along, `chance` behind an
    accuracy that is no better."""
    names = {name: escaped(name) for name in pd.unique(points["run_name"])}
    steps = {name: escaped(name) for name in pd.unique(points["name"])}
    columns = (
        points["run_name"].map(names),
        points["name"].map(steps),
        points["accuracy"],
        spread(points),
        *(points[c] for c in ("id", "sample", "step", "validation", "bytes", "params", "macs", "p50", "p95")),
        *(points[c] for c in ("at_chance", "noisy", "runtime", "threads")),
    )
    found = []
    for values in zip(*(column.tolist() for column in columns), strict=True):
        run, name, accuracy, around, ident, came, step, validation, size, params, macs, p50, p95, *where = values
        luck, noisy, runtime, threads = where
        found.append(
            form.format(
                run=f"{sample} {run}" if came else run,
                name=name,
                step=int(step) + 1,
                accuracy=plus_minus(accuracy, around),
                chance=f" ({chance})" if luck else "",
                validation=formatting.percent(_known(validation)),
                bytes=formatting.size(_known(size)),
                params=formatting.count(_known(params)),
                macs=formatting.count(_known(macs)),
                p50=milliseconds(p50, noisy),
                p95=milliseconds(p95, noisy),
                runtime=escaped(runtime) or formatting.NOT_MEASURED,
                threads=Amount(int(threads) if threads == threads else formatting.NOT_MEASURED),
                settings=settings.get(ident, ""),
            )
        )
    return found


def escaped(name: str) -> str:
    """A person's text for Plotly, not longer than fits beside a point."""
    return UserText(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…").plot()


def plus_minus(share: float, around: float) -> str:
    """A test accuracy with its ±; a missing figure is NaN."""
    if share != share:
        return formatting.NOT_MEASURED
    return formatting.percent(share) if around != around else f"{100 * share:.1f} ± {100 * around:.1f} %"


def milliseconds(value: float, noisy: bool = False) -> str:
    """A time with two digits, a tilde where the machine was busy; a missing figure is NaN."""
    return formatting.NOT_MEASURED if value != value else f"{'~' if noisy else ''}{formatting.two_digits(value)} ms"


def _known(value: float) -> float | None:
    return None if value != value else value
