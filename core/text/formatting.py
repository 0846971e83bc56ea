"""Numbers formatted for people: percentages with one decimal and their interval, decimal bytes, two-digit times."""

from __future__ import annotations

from math import ceil

from core.points import Latency, Point
from core.statistics.intervals import around

NOT_MEASURED = "–"
AT_CHANCE = "not proven better than chance"


def percent(share: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 as a percentage; a dash for None."""
    return NOT_MEASURED if share is None else f"{100 * share:.{digits}f} %"


def accuracy(point: Point) -> str:
    """The test accuracy in percent ± its 95 % interval (`intervals.around`); for several seeds, mean ± standard
    deviation."""
    return with_interval(point.middle, *point.whiskers)


def on_target(point: Point) -> str:
    """The accuracy on the target's test images, in the form of `accuracy`."""
    return with_interval(point.on_target, *point.target_whiskers)


def with_interval(share: float | None, low: float | None, high: float | None) -> str:
    """A share of 1 in percent with the ± of its interval, where that is known."""
    if share is None or low is None or high is None:
        return percent(share)
    return f"{100 * share:.1f} ± {100 * around(share, low, high):.1f} %"


def chance(point: Point) -> str:
    """The chance level on the test images, and how it is reached; empty if it is not known."""
    found = point.chance
    if found is None:
        return ""
    majority = f"always answering with the most frequent of {found.classes} classes"
    return f"{percent(found.test)}, {majority if found.is_majority(found.test) else f'guessing among {found.classes}'}"


class Amount:
    """A value for a phrase: `{count:point|points}` becomes `1 point` or `2 points`; other formats work as usual."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        one, plural, many = spec.partition("|")
        return f"{self.value} {one if str(self.value) == '1' else many}" if plural else format(self.value, spec)


def size(count: float | None) -> str:
    """Bytes; from 1,000 on in decimal kB, MB or GB."""
    if count is None:
        return NOT_MEASURED
    for unit, bytes_in, least in (("GB", 1e9, 999_995e3), ("MB", 1e6, 999_950)):  # less is 1,000 of the unit below
        if count >= least:
            return f"{count / bytes_in:.2f} {unit}"
    return f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count:.0f} B"


def size_rounded_up(count: float) -> str:
    """As `size`, but never less than `count`."""
    for bytes_in, digits in ((1e9, 2), (1e6, 2), (1e3, 1)):
        if count >= bytes_in:
            step = bytes_in / 10**digits
            return size(ceil(count / step - 1e-9) * step)
    return size(ceil(count))


def count(number: float | None) -> str:
    """A count with three digits: 78 k, 4.65 M, 1.81 G."""
    if number is None:
        return NOT_MEASURED
    for unit, things in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * things:  # else three digits were 1,000 of the unit below
            return f"{number / things:.{'3g' if number < 999.5 * things else '0f'}} {unit}"
    return f"{number:.0f}"


def milliseconds(latency: Latency | None) -> str:
    """The median latency with two digits; a tilde marks a busy machine."""
    return NOT_MEASURED if latency is None else f"{'~' if latency.noisy else ''}{two_digits(latency.p50)} ms"


def two_digits(value: float) -> str:
    """The number with at least two significant digits, never in scientific notation."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}" if value >= 1e-4 or not value else _tiny(value)


def ends(low: float | None, high: float | None) -> tuple[str, str] | None:
    """The ends of a spread in the digits of `two_digits`; None where they are not known, or the same in these."""
    if low is None or high is None:
        return None
    told = two_digits(low), two_digits(high)
    return None if told[0] == told[1] else told


def _tiny(value: float) -> str:
    return f"{float(f'{value:.2g}'):.12f}".rstrip("0")


def duration(seconds: float | None) -> str:
    """Seconds as m:ss or h:mm:ss, such as 0:21 or 1:05:00."""
    if seconds is None:
        return NOT_MEASURED
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
