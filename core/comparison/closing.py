"""The conclusion of a run, as facts: how much smaller and faster its last model is than its first, what that cost in
accuracy, how the steps compare with their controls, what did not help, and which model to deploy.

Every difference says how it was judged; what was not measured is absent. `core.comparison.closing_words` turns the
facts into sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.comparison.difference import Difference, Pairing, difference, on_target
from core.comparison.gap import KEPT, KEPT_WITHIN, in_run
from core.comparison.speed import Speed, speed
from core.controls import WITHOUT_TEACHER, code_of
from core.points import Point
from core.state import Status

MATTERS = 1.05  # times smaller or faster; less than that is no gain, as in receipts
NEAR = 0.02  # of validation accuracy; among models this close to the best, the smallest is recommended
CHANGING = ("prune", "quantize")  # what comes out of them never came in; earlier versions made the remark here too
OTHERS_TEACH = ("mutual", "assistant")  # methods whose student learns from another network than the incoming one


@dataclass(frozen=True)
class Worth:
    """The accuracy of a step's model minus that of its control (a code of `core.controls`), on the test
    images and on the target's."""

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
    nothing, so that the incoming model was kept, `kept_within` those with training, or a part of it, that improved
    nothing over what the step had made before; `take` is the model to deploy, None if none is known to be better than
    chance."""

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
    kept_within: tuple[Point, ...] = ()
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
        speed=speed(first, last, chain) if several else None,
        accuracy=difference(last, first, pairing) if several else None,
        target=on_target(last, first) if several else None,
        worths=tuple(_worths(chain, controls, pairing)),
        shortfalls=tuple(found for point in chain[1:] if (found := shortfall(point)) is not None),
        kept=tuple(point for point in chain if _kept_incoming(point)),
        kept_within=tuple(point for point in chain if _kept_within(point)),
        at_chance=tuple(point for point in chain if point.is_at_chance),
        take=take(chain),
    )


def _taught(chain: Sequence[Point]) -> bool:
    """Whether the first model is the teacher, and the only one, that the last model learned from."""
    lessons = [n for n, point in enumerate(chain) if point.stage == "distill"]
    student = chain[1] if lessons == [1] else None
    return student is not None and student.method not in OTHERS_TEACH and not _kept_incoming(student)


# what a step did not gain


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


def _kept_incoming(point: Point) -> bool:
    """Whether its model is the one that came into the step."""
    return KEPT in _listed(point, "remarks") and point.stage not in CHANGING


def _kept_within(point: Point) -> bool:
    """Whether training within the step gave nothing better than what the step had before it."""
    remarks = _listed(point, "remarks")
    return KEPT_WITHIN in remarks or (KEPT in remarks and point.stage in CHANGING)


def _listed(point: Point, name: str) -> list[str]:
    found = point.receipt.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []


# the steps against their controls, and the model to deploy


def _worths(chain: Sequence[Point], controls: Sequence[Point], pairing: Pairing) -> Iterator[Worth]:
    """Each step's model compared with its controls; the one without a teacher first. Steps that kept the incoming model
    are left out, because the control is then no counterpart of their model."""
    steps = {point.step: point for point in chain if not _kept_incoming(point)}
    for control in sorted(controls, key=lambda c: (c.control != WITHOUT_TEACHER, c.step)):
        point = steps.get(control.step)
        if point is None:
            continue
        code = control.control or code_of(control.name)
        worth = Worth(point, code, in_run(point, control, pairing), on_target(point, control))
        if worth.test or worth.target:
            yield worth


def take(chain: Sequence[Point]) -> Point | None:
    """The smallest file whose validation accuracy is within NEAR of the best; chosen on validation, so that the test
    accuracy stays unbiased. None if no model is known to be better than chance."""
    known = [(p.judged, p.bytes, p) for p in chain if p.judged is not None and p.bytes and not p.is_at_chance]
    enough = max((judged for judged, _, _ in known), default=0.0) - NEAR - 1e-9
    near = [(size, -judged, p.step, p) for judged, size, p in known if judged >= enough]
    return min(near)[-1] if near else None
