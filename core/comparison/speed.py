"""The one ratio of two latencies, wherever two models are compared.

Where a run timed both files in turns, it is that timing's; else that of the two medians, as far as both were measured
alike and differ by more than the noise. Every place that shows or tells such a ratio asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from core.points import Point
from core.runtimes import CUDA, ONNXRUNTIME

Withheld = Literal["", "noisy", "noise", "conditions"]


class Conditions(NamedTuple):
    """What a latency holds for: the runtime with its version, its device, threads, images a batch, the processor;
    empty or 0 where that is not known."""

    runtime: str = ""
    runtime_version: str = ""
    device: str = ""
    threads: int = 0
    batch: int = 0
    processor: str = ""


class Timed(NamedTuple):
    """A measured latency: median and 95th percentile in milliseconds, whether the machine was busy, how far its own
    halves are apart as a share (None: not known), and what it holds for."""

    p50: float
    p95: float
    noisy: bool
    apart: float | None
    conditions: Conditions


@dataclass(frozen=True)
class Speed:
    """How many times faster a model is than another. `low` and `high` tell the spread: of files timed `in_turns` the
    middle half of the ratios turn by turn, of two medians what is left open by the noise of both; None: not known.

    `withheld` says why there is no ratio: `noisy` (the machine was busy), `noise` (the difference is within the noise),
    `conditions` (the two were timed under different conditions, `unlike`, as the fields of Conditions).
    """

    times: float | None = None
    withheld: Withheld = ""
    in_turns: bool = False
    low: float | None = None
    high: float | None = None
    unlike: tuple[str, ...] = ()

    @property
    def basis(self) -> Literal["turns", "medians", ""]:
        """What the ratio is of; empty where there is none."""
        if self.times is None:
            return ""
        return "turns" if self.in_turns else "medians"

    def inverse(self) -> Speed:
        """How many times faster the other one is."""
        times, low, high = (None if value is None else 1 / value for value in (self.times, self.high, self.low))
        return replace(self, times=times, low=low, high=high)


# two points of a run


def speed(than: Point, of: Point, points: Sequence[Point]) -> Speed | None:
    """How many times faster `of` is than `than`, both points or controls of the run whose `points` these are; None if
    it is not known how long either takes."""
    for one, other in ((of, than), (than, of)):
        for known, found in in_turns(one, points):
            if _place(known) == _place(other):
                return found if one is of else found.inverse()
    return of_medians(timed(than), timed(of))


def in_turns(point: Point, points: Iterable[Point]) -> Iterator[tuple[Point, Speed]]:
    """Those of a run's `points` that the file of one of its points or controls was timed in turns with, and how many
    times faster than each it is."""
    for name, other in _others(point, points):
        latency, sizes = (_dict(point.receipt.get(f"{kind}_{name}")) for kind in ("latency", "bytes"))
        if latency and other is not None and sizes.get("before") in (None, other.bytes):
            yield other, _told(latency)


def of_medians(than: Timed | None, of: Timed | None) -> Speed | None:
    """How many times faster `of` is by the two medians; None if either was not timed."""
    if than is None or of is None:
        return None
    if than.noisy or of.noisy:
        return Speed(withheld="noisy")
    if names := unlike((than.conditions, of.conditions)):
        return Speed(withheld="conditions", unlike=names)
    fast, slow = sorted((than, of), key=lambda each: each.p50)
    if fast.p95 >= slow.p50:
        return Speed(withheld="noise")
    times, noise = than.p50 / of.p50, _noise(than, of)
    return Speed(times) if noise is None else Speed(times, low=times / noise, high=times * noise)


def timed(point: Point, of_run: Mapping[str, str] = MappingProxyType({})) -> Timed | None:
    """A point's latency and what it holds for; `of_run` is the environment of its run. None if it was not timed."""
    found = point.latency_ms
    if found is None:
        return None
    return Timed(found.p50, found.p95, found.noisy, found.apart, conditions(point, of_run))


def conditions(point: Point, of_run: Mapping[str, str] = MappingProxyType({})) -> Conditions:
    """What a point's latency holds for; within one run `of_run`, its environment, may be left out."""
    environment, found = point.environment(of_run), point.latency_ms
    processor = environment.get("processor", "")
    if found is None:
        return Conditions(processor=processor)
    version = environment.get(ONNXRUNTIME, "") if found.runtime in (ONNXRUNTIME, CUDA) else ""
    return Conditions(found.runtime, version, found.device, found.threads, found.batch, processor)


def unlike(found: Iterable[Conditions]) -> tuple[str, ...]:
    """The fields in which any of these conditions differ from others of them."""
    columns = zip(Conditions._fields, zip(*found, strict=True), strict=False)
    return tuple(name for name, values in columns if len(set(values)) > 1)


def _others(point: Point, points: Iterable[Point]) -> Iterator[tuple[str, Point | None]]:
    """What a receipt's comparisons are with: of a control its step's own model; of a point the first one, the one
    before it, and the last one before it that is no other file's quantized form."""
    chain = sorted(points, key=lambda each: each.step)
    if point.control is not None:
        yield "before", next((each for each in chain if each.step == point.step), None)
        return
    earlier = [each for each in chain if each.step < point.step]
    yield "first", next(iter(earlier), None)
    yield "before", next(reversed(earlier), None)
    yield "fp32", next((each for each in reversed(earlier) if "latency_fp32" not in each.receipt), None)


def _told(latency: Mapping[str, Any]) -> Speed:
    """What a receipt says of two files timed in turns."""
    if "speedup" not in latency:
        return Speed(withheld="noisy" if "busy" in str(latency.get("withheld")) else "noise", in_turns=True)
    return Speed(latency["speedup"], in_turns=True, low=latency.get("low"), high=latency.get("high"))


def _noise(one: Timed, other: Timed) -> float | None:
    """By how many times the ratio of two medians may be off: both differ by as much as the halves of their timings."""
    if one.apart is None or other.apart is None:
        return None
    return (1 + one.apart) * (1 + other.apart)


def _place(point: Point) -> tuple[int, str]:
    return point.step, point.name if point.control is not None else ""


def _dict(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
