"""The figures of a point that a lesson may name, the unit each is shown in, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from core.lessons.trained import TRAINED
from core.points import Point
from core.text import formatting

Kind = Literal["share", "bytes", "params", "macs", "latency"]


@dataclass(frozen=True)
class Metric:
    """A figure of a point: how it is read (None: not measured) and what kind of quantity it is."""

    of: Callable[[Point], float | None]
    kind: Kind


@dataclass(frozen=True)
class Unit:
    """The unit in which a person predicts a quantity: its symbol, and how many base units are one of it."""

    symbol: str
    scale: float


UNITS: Mapping[Kind, Unit] = {
    "share": Unit("%", 0.01),
    "bytes": Unit("kB", 1e3),
    "params": Unit("k", 1e3),
    "macs": Unit("M", 1e6),
    "latency": Unit("ms", 1.0),
}


def _omitted(point: Point) -> float | None:
    """The recall of the class that a distilled student never saw; None unless exactly one is reported."""
    found = point.receipt.get("recall")
    shares = list(found.values()) if isinstance(found, dict) else []
    only = shares[0] if len(shares) == 1 else None
    return float(only) if isinstance(only, int | float) else None


def _trained(point: Point) -> float | None:
    """The training accuracy of the step's last epoch; None where no curve tells it."""
    found = point.receipt.get(TRAINED)
    return float(found) if isinstance(found, int | float) else None


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(lambda point: point.middle, "share"),
    "validation_accuracy": Metric(lambda point: point.judged, "share"),
    TRAINED: Metric(_trained, "share"),
    "target_accuracy": Metric(lambda point: point.on_target, "share"),
    "balanced_accuracy": Metric(lambda point: point.spread.balanced_accuracy if point.spread else None, "share"),
    "macro_f1": Metric(lambda point: point.spread.macro_f1 if point.spread else None, "share"),
    "worst_recall": Metric(lambda point: point.spread.worst_recall if point.spread else None, "share"),
    "calibration_error": Metric(lambda point: point.calibration_error, "share"),
    "omitted_recall": Metric(_omitted, "share"),
    "agreement": Metric(lambda point: point.agreement, "share"),
    "bytes": Metric(lambda point: point.bytes, "bytes"),
    "compressed_bytes": Metric(lambda point: point.compressed_bytes, "bytes"),
    "params": Metric(lambda point: point.params, "params"),
    "macs": Metric(lambda point: point.macs, "macs"),
    "latency": Metric(lambda point: point.latency_ms.p50 if point.latency_ms else None, "latency"),
}


def written(kind: Kind, value: float | None) -> str:
    """A value in its unit, as all pages write it; a dash where it was not measured."""
    if value is None:
        return formatting.NOT_MEASURED
    if kind == "share":
        return formatting.percent(value)
    if kind == "bytes":
        return formatting.size(value)
    return f"{formatting.two_digits(value)} ms" if kind == "latency" else formatting.count(value)
