"""References to measured figures, conditions on them and placeholders in texts, as FORMAT.md describes them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import mean

from core.comparison.speed import Conditions
from core.comparison.speed import conditions as conditions_of
from core.lessons.metrics import METRICS, Kind, written
from core.options import Value
from core.points import Point
from core.runs import RunSummary
from core.text import formatting

PICTURE = "picture"  # stands for the network's own probabilities on the chosen picture
PICTURED = ("top", "second")
NUMBER = r"-?\d+(?:\.\d+)?"
NAMED = r"[a-z0-9-]+(?:\[[^\]\s{}]+\])?(?:\.[a-z0-9_/]+)?\.[a-z0-9_]+"
REFERENCE = re.compile(r"([a-z0-9-]+)(?:\[([^\]\s{}]+)\])?(?:\.([a-z0-9_/]+))?\.([a-z0-9_]+)")
CONDITION = re.compile(r"(.+?)\s*(<=|>=|<|>)\s*(.+)")
SCALED = re.compile(rf"(?:({NUMBER})\s*\*\s*)?({NAMED})(?:\s+([+-])\s+(\d+(?:\.\d+)?))?")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
MEASURE = re.compile(rf"({NAMED})(?:\s+([-/])\s+({NAMED}))?")
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Look = Callable[["Reference"], float | None]  # the value of a reference; None: not measured (yet)


@dataclass(frozen=True)
class Reference:
    """One figure: of a run by its key, at a point of it; of a picture at a temperature, where `point` is empty."""

    run: str
    point: str
    metric: str

    @property
    def kind(self) -> Kind:
        """What kind of quantity it is."""
        return "share" if self.is_picture else METRICS[self.metric].kind

    @property
    def is_picture(self) -> bool:
        return self.run.startswith(f"{PICTURE}[")

    @property
    def temperature(self) -> float:
        """Of a picture's reference: the temperature in its brackets."""
        return float(self.run[len(PICTURE) + 1 : -1])


@dataclass(frozen=True)
class Side:
    """One side of a condition: `factor` times a reference plus `offset`; without a reference the offset alone."""

    reference: Reference | None
    factor: float = 1.0
    offset: float = 0.0

    def value(self, look: Look) -> float | None:
        if self.reference is None:
            return self.offset
        found = look(self.reference)
        return None if found is None else self.factor * found + self.offset


@dataclass(frozen=True)
class Condition:
    """A comparison of two sides."""

    left: Side
    sign: str
    right: Side

    def holds(self, look: Look) -> bool | None:
        """Whether it is true; None while a figure in it is not measured."""
        sides = self.left.value(look), self.right.value(look)
        return None if sides[0] is None or sides[1] is None else COMPARE[self.sign](sides[0], sides[1])

    def references(self) -> Iterator[Reference]:
        yield from (side.reference for side in (self.left, self.right) if side.reference is not None)


@dataclass(frozen=True)
class Measure:
    """What a placeholder stands for: a figure, a difference of two, or how many times one is the other."""

    first: Reference
    sign: str = ""
    second: Reference | None = None

    def written(self, look: Look) -> str:
        """The figure with its unit; a difference of shares in percentage points and a ratio without one."""
        first, kind = look(self.first), self.first.kind
        if self.second is None:
            return written(kind, first)
        second = look(self.second)
        if first is None or second is None or (self.sign == "/" and second == 0):
            return formatting.NOT_MEASURED
        if self.sign == "/":
            return formatting.two_digits(first / second)
        off = abs(first - second)
        told = f"{100 * off:.1f}" if kind == "share" else written(kind, off)
        return f"\u2212{told}" if first < second and told.strip("0.") else told

    def references(self) -> Iterator[Reference]:
        yield from (reference for reference in (self.first, self.second) if reference is not None)


# reading


def run_key(name: str, value: Value | None = None) -> str:
    """What a run is called in references: `name`, with a value of the knob `name[value]`."""
    return name if value is None else f"{name}[{value_text(value)}]"


def value_text(value: Value) -> str:
    """A knob's value as a reference has it: 1.0 and 1 are the same."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else value


def reference(text: str) -> Reference:
    """The reference in `text`; raises ValueError with the reason."""
    found = REFERENCE.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is no RUN.POINT.METRIC")
    name, value, point, metric = found.groups()
    run = name if value is None else f"{name}[{_same(value)}]"
    if name == PICTURE:
        if value is None or not re.fullmatch(NUMBER, value) or not float(value) > 0 or point or metric not in PICTURED:
            raise ValueError("of a picture there is picture[TEMPERATURE].top and .second")
        return Reference(run, "", metric)
    if point is None:
        raise ValueError("it names no point of the run")
    if metric not in METRICS:
        raise ValueError(f"there is no figure {metric!r}")
    return Reference(run, point, metric)


def _same(value: str) -> str:
    return f"{float(value):g}" if re.fullmatch(NUMBER, value) else value


def condition(text: str) -> Condition:
    """The condition in `text`; raises ValueError with the reason."""
    found = CONDITION.fullmatch(text.strip())
    if found is None:
        raise ValueError("it compares nothing with <, <=, > or >=")
    made = Condition(_side(found[1]), found[2], _side(found[3]))
    kinds = {ref.kind for ref in made.references()}
    if not kinds:
        raise ValueError("it names no figure")
    if len(kinds) > 1:
        raise ValueError("its two sides are of different kinds")
    return made


def _side(text: str) -> Side:
    text = text.strip()
    if re.fullmatch(NUMBER, text):
        return Side(None, offset=float(text))
    found = SCALED.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is neither a number nor NUMBER * REFERENCE + NUMBER")
    offset = float(found[4] or 0) * (-1 if found[3] == "-" else 1)
    return Side(reference(found[2]), float(found[1] or 1), offset)


def measure(text: str) -> Measure:
    """The content of a placeholder; raises ValueError with the reason."""
    found = MEASURE.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is no REFERENCE, REFERENCE - REFERENCE or REFERENCE / REFERENCE")
    second = reference(found[3]) if found[3] else None
    made = Measure(reference(found[1]), found[2] or "", second)
    if second is not None and second.kind != made.first.kind:
        raise ValueError("its two figures are of different kinds")
    return made


def measures(text: str) -> list[Measure]:
    """Every placeholder of a text; raises ValueError with the reason."""
    return [measure(found[1]) for found in PLACEHOLDER.finditer(text)]


# looking up


def point_of(summary: RunSummary, name: str) -> Point | None:
    """The point of a run that a reference names; None if the run has none of that name."""
    place, _, control = name.partition("/")
    known = summary.controls if control else summary.points
    known = tuple(point for point in known if not control or point.control == control)
    if place == "last":
        return max(known, key=lambda point: point.step, default=None)
    if place.isdecimal():
        return next((point for point in known if point.step == int(place)), None)
    return max((point for point in known if point.stage == place), key=lambda point: point.step, default=None)


def in_runs(runs: Mapping[str, RunSummary]) -> Look:
    """Looks references up in runs by their key."""

    def look(wanted: Reference) -> float | None:
        summary = runs.get(wanted.run)
        point = summary and point_of(summary, wanted.point)
        return METRICS[wanted.metric].of(point) if point else None

    return look


def timed_under(conditions: Iterable[Condition], runs: Mapping[str, RunSummary]) -> set[Conditions]:
    """What the latencies hold for that the conditions compare, as far as these were measured."""
    found = set()
    for wanted in (each for condition in conditions for each in condition.references() if each.kind == "latency"):
        summary = runs.get(wanted.run)
        point = summary and point_of(summary, wanted.point)
        if summary and point and point.latency_ms:
            found.add(conditions_of(point, summary.environment))
    return found


def mean_of(looks: list[Look]) -> Look:
    """The mean of what several look-ups know; None where one of them knows nothing."""

    def look(wanted: Reference) -> float | None:
        found = [value for one in looks if (value := one(wanted)) is not None]
        return mean(found) if found and len(found) == len(looks) else None

    return look


def filled(text: str, look: Look) -> str:
    """The text with its placeholders as figures."""
    return PLACEHOLDER.sub(lambda found: measure(found[1]).written(look), text)
