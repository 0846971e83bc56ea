"""The conclusion of a run, as facts: how much smaller and faster its last model is than its first, what that cost in
accuracy, how the steps compare with their controls, what did not help, and which model to deploy.

Every difference says how it was judged; what was not measured is absent. `core.closing_words` turns the facts into
sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

from core.controls import WITHOUT_TEACHER, code_of
from core.gap import KEPT, STUDENT
from core.paired import Paired
from core.points import Latency, Point
from core.state import Status

MATTERS = 1.05  # times smaller or faster; less than that is no gain, as in receipts
SAME = 1e-9  # shares closer to each other than this differ by rounding in the computation alone
SURE = 0.05  # from this p-value on, chance is not excluded
NEAR = 0.02  # of validation accuracy; among models this close to the best, the smallest is recommended
OTHERS_TEACH = ("mutual", "assistant")  # methods whose student learns from another network than the incoming one
CONDITIONS = ("runtime", "device", "threads", "batch")  # latencies can be compared if these are the same

Basis = Literal["seeds", "images", "intervals", ""]
Pairing = Callable[[Point, Point], Paired | None]


@dataclass(frozen=True)
class Difference:
    """One accuracy minus another, from −1 to 1. `proven` says whether it is more than chance, judged (`basis`) by the
    spread over `seeds`, by a test on the same images, or by whether the 95 % intervals overlap; None: not judged."""

    share: float
    proven: bool | None = None
    basis: Basis = ""
    seeds: int = 1

    @property
    def points(self) -> float:
        """In percentage points with one decimal."""
        return round(100 * self.share, 1) + 0.0

    @property
    def way(self) -> Literal["more", "fewer", "same"]:
        """Which of the two is more accurate, by the exact numbers."""
        return "same" if abs(self.share) < SAME else "more" if self.share > 0 else "fewer"


@dataclass(frozen=True)
class Speed:
    """How many times faster, or why that is withheld: `noisy` (the machine was busy), `noise` (the difference is within
    the noise), `conditions` (the two were timed under different conditions)."""

    times: float | None = None
    withheld: Literal["", "noisy", "noise", "conditions"] = ""


@dataclass(frozen=True)
class Worth:
    """The accuracy of a step's model minus that of its control (a code of `core.controls`), on the test images and
    on the target's."""

    point: Point
    control: str
    test: Difference | None
    target: Difference | None = None

    @property
    def of_teacher(self) -> bool:
        """Whether the control is the same student without a teacher."""
        return self.control == WITHOUT_TEACHER


@dataclass(frozen=True)
class Shortfall:
    """A step that gained nothing, in `bytes` or in `latency`, over the model it is compared with. `why_*` are the
    receipt's own sentences; `unsure` says why a gain in latency is not excluded."""

    point: Point
    bytes: bool
    latency: bool
    why_bytes: str = ""
    why_latency: str = ""
    unsure: Literal["", "noisy", "noise"] = ""


@dataclass(frozen=True)
class Closing:
    """The conclusion about a run's `points`, in the order of its steps. `smaller` is the first file's size divided by
    the last's; `taught`: the last model's only teacher is the first; `kept` are the steps whose training improved
    nothing, so that the incoming model was kept; `take` is the model to deploy, None if none is known to be better
    than chance."""

    status: Status
    points: tuple[Point, ...]
    taught: bool = False
    smaller: float | None = None
    speed: Speed | None = None
    accuracy: Difference | None = None
    target: Difference | None = None
    worths: tuple[Worth, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    kept: tuple[Point, ...] = ()
    at_chance: tuple[Point, ...] = ()
    take: Point | None = None

    @property
    def first(self) -> Point:
        """The first point."""
        return self.points[0]

    @property
    def last(self) -> Point:
        """The last point."""
        return self.points[-1]

    @property
    def seeds(self) -> int:
        """The number of seeds behind the accuracies; 1 if they are no means."""
        return self.last.seeds or 1

    @property
    def seeds_differ(self) -> bool:
        """Whether some models were measured with more seeds than others, as in a run that ended early."""
        return len({point.seeds or 1 for point in self.points}) > 1


def closing(
    points: Sequence[Point], controls: Sequence[Point], status: Status, pairing: Pairing = lambda one, other: None
) -> Closing:
    """The facts about a run; `pairing` counts the images that only one of two models gets right."""
    chain = tuple(sorted(points, key=lambda point: point.step))
    if not chain:
        return Closing(status, ())
    first, last = chain[0], chain[-1]
    several = len(chain) > 1
    return Closing(
        status=status,
        points=chain,
        taught=_taught(chain),
        smaller=first.bytes / last.bytes if several and first.bytes and last.bytes else None,
        speed=speed(first, last) if several else None,
        accuracy=difference(last, first, pairing) if several else None,
        target=on_target(last, first) if several else None,
        worths=tuple(_worths(chain, controls, pairing)),
        shortfalls=tuple(found for point in chain[1:] if (found := shortfall(point)) is not None),
        kept=tuple(point for point in chain if KEPT in _listed(point, "remarks")),
        at_chance=tuple(point for point in chain if point.is_at_chance),
        take=take(chain),
    )


def _taught(chain: Sequence[Point]) -> bool:
    """Whether the first model is the teacher, and the only one, that the last model learned from."""
    lessons = [n for n, point in enumerate(chain) if point.stage == "distill"]
    student = chain[1] if lessons == [1] else None
    return student is not None and student.method not in OTHERS_TEACH and KEPT not in _listed(student, "remarks")


# accuracy


def difference(one: Point, other: Point, pairing: Pairing = lambda one, other: None) -> Difference | None:
    """Accuracy on the test images, `one` minus `other`; None if either was not measured. Of means over unequal numbers
    of seeds, or without any spread, the models of the recipe's own seed are compared."""
    if one.middle is None or other.middle is None:
        return None
    spreads = (one.accuracy_sd, other.accuracy_sd)
    spread = _by_seeds(one.middle - other.middle, spreads, (one.seeds, other.seeds))
    if spread is not None:
        return spread
    if one.accuracy is None or other.accuracy is None:
        return Difference(one.middle - other.middle)
    share = one.accuracy - other.accuracy
    if (counts := pairing(one, other)) is not None:
        return Difference(share, counts.chance < SURE, "images")
    ends = (one.accuracy_low, one.accuracy_high), (other.accuracy_low, other.accuracy_high)
    return _by_intervals(share, *ends)


def on_target(one: Point, other: Point) -> Difference | None:
    """Accuracy on the target's test images, `one` minus `other`; None if either was not measured."""
    if one.on_target is None or other.on_target is None:
        return None
    spreads = (one.target_accuracy_sd, other.target_accuracy_sd)
    spread = _by_seeds(one.on_target - other.on_target, spreads, (one.seeds, other.seeds))
    if spread is not None:
        return spread
    if one.target_accuracy is None or other.target_accuracy is None:
        return Difference(one.on_target - other.on_target)
    ends = (
        (one.target_accuracy_low, one.target_accuracy_high), (other.target_accuracy_low, other.target_accuracy_high)
    )  # fmt: skip
    return _by_intervals(one.target_accuracy - other.target_accuracy, *ends)


def _by_seeds(
    share: float, spreads: tuple[float | None, float | None], seeds: tuple[int | None, int | None]
) -> Difference | None:
    """By the 95 % interval of the difference of two means (Welch, degrees of freedom of the smaller sample); None
    unless both are means over equally many seeds that differ from each other."""
    (one, other), counts = spreads, [n for n in seeds if n]
    if one is None or other is None or len(counts) < 2 or len(set(counts)) > 1 or min(counts) < 2:
        return None
    if one + other < SAME:
        return None
    error = (one**2 / counts[0] + other**2 / counts[1]) ** 0.5
    return Difference(share, abs(share) > quantile(min(counts)) * error, "seeds", min(counts))


def quantile(seeds: int) -> float:
    """The two-sided 95 % quantile of Student's t for `seeds` − 1 degrees of freedom."""
    return STUDENT[seeds - 2] if seeds - 2 < len(STUDENT) else NormalDist().inv_cdf(0.975)


Ends = tuple[float | None, float | None]


def _by_intervals(share: float, one: Ends, other: Ends) -> Difference:
    (low, high), (lower, upper) = one, other
    if low is None or high is None or lower is None or upper is None:
        return Difference(share)
    return Difference(share, not (low <= upper and lower <= high), "intervals")


# time


def speed(first: Point, last: Point) -> Speed | None:
    """How many times faster than the first model: from the receipt, which timed both in turns; otherwise from both
    latencies, if they can be compared. None if either was not timed."""
    found: Any = last.receipt.get("latency_first")
    if isinstance(found, dict):
        if "speedup" in found:
            return Speed(found["speedup"])
        return Speed(withheld="noisy" if "busy" in str(found.get("withheld")) else "noise")
    one, other = first.latency_ms, last.latency_ms
    if one is None or other is None:
        return None
    return _apart(one, other) if timed_alike(first, last) else Speed(withheld="conditions")


def timed_alike(one: Point, other: Point) -> bool:
    """Whether two points of one run were measured on the same kind of machine, as far as is known."""
    return one.own_environment.get("processor") == other.own_environment.get("processor")


def _apart(one: Latency, other: Latency) -> Speed:
    if one.noisy or other.noisy:
        return Speed(withheld="noisy")
    if any(getattr(one, name) != getattr(other, name) for name in CONDITIONS):
        return Speed(withheld="conditions")
    fast, slow = sorted((one, other), key=lambda latency: latency.p50)
    return Speed(withheld="noise") if fast.p95 >= slow.p50 else Speed(one.p50 / other.p50)


def shortfall(point: Point) -> Shortfall | None:
    """What a step did not gain over its float32 version or the previous step; None if bytes and latency both fell."""
    name = "fp32" if "latency_fp32" in point.receipt else "before"
    sizes: Any = point.receipt.get(f"bytes_{name}")
    times: Any = point.receipt.get(f"latency_{name}")
    if not isinstance(sizes, dict) or not isinstance(times, dict):
        return None
    bytes_, latency = sizes["times_smaller"] < MATTERS, times["ms"] / times["ms_now"] < MATTERS
    withheld = str(times.get("withheld", ""))
    unsure: Literal["", "noisy", "noise"] = "noisy" if "busy" in withheld else ""
    if withheld and not unsure and not latency:
        unsure = "noise"
    if not bytes_ and not latency and not unsure:
        return None
    notes = _listed(point, "no_gain")
    why_bytes, why_latency = (_why(notes, f"no gain in {what}") for what in ("bytes", "latency"))
    return Shortfall(point, bytes_, latency and not unsure, why_bytes, why_latency, unsure)


def _why(notes: Sequence[str], start: str) -> str:
    """The reason in a receipt's sentence: after the colon, in earlier versions after `because`."""
    sentence = next((each for each in notes if each.startswith(start)), "")
    for mark in ("): ", " because "):
        if mark in sentence:
            return sentence.partition(mark)[2]
    return ""


def _listed(point: Point, name: str) -> list[str]:
    found = point.receipt.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []


# the steps against their controls, and the model to deploy


def _worths(chain: Sequence[Point], controls: Sequence[Point], pairing: Pairing) -> Iterator[Worth]:
    """Each step's model compared with its controls; the one without a teacher first. Steps that kept the incoming model
    are left out, because the control is then no counterpart of their model."""
    steps = {point.step: point for point in chain if KEPT not in _listed(point, "remarks")}
    for control in sorted(controls, key=lambda c: (c.control != WITHOUT_TEACHER, c.step)):
        point = steps.get(control.step)
        if point is None:
            continue
        code = control.control or code_of(control.name)
        test = _gap(point) if code == WITHOUT_TEACHER else None
        worth = Worth(point, code, test or difference(point, control, pairing), on_target(point, control))
        if worth.test or worth.target:
            yield worth


def _gap(point: Point) -> Difference | None:
    """The gain from the teacher, from the differences seed by seed, if there are several seeds."""
    found: Any = point.receipt.get("gap_recovered")
    if not isinstance(found, dict) or "gain_low" not in found:
        return None
    return Difference(found["gain"], found["gain_low"] > 0 or found["gain_high"] < 0, "seeds", found["seeds"])


def take(chain: Sequence[Point]) -> Point | None:
    """The smallest file whose validation accuracy is within NEAR of the best; chosen on validation, so that the test
    accuracy stays unbiased. None if no model is known to be better than chance."""
    known = [(p.judged, p.bytes, p) for p in chain if p.judged is not None and p.bytes and not p.is_at_chance]
    enough = max((judged for judged, _, _ in known), default=0.0) - NEAR - 1e-9
    near = [(size, -judged, p.step, p) for judged, size, p in known if judged >= enough]
    return min(near)[-1] if near else None
