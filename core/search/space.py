"""What a search may vary: knobs of a recipe, each within a range or among choices; and the recipe with values set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.catalog import Catalog
from core.options import Option, Value
from core.recipe import Recipe, Step, check
from core.recipe_options import RECIPE_OPTIONS
from core.text import toml

FIXED = ("name", "dataset", "target", "pool", "seed", "seeds", "device", "threads", "latency_threads", "runtimes")
DIGITS = 3  # significant ones of a number that is tried, at least
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Vary:
    """One knob by its path in the recipe: from `low` to `high`, or one of `choices`."""

    path: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Value, ...] = ()

    def to_text(self) -> str:
        """As a command line says it."""
        if self.choices:
            return f"{self.path}={','.join(map(told_value, self.choices))}"
        return f"{self.path}={self.low:.10g}:{self.high:.10g}{':log' if self.log else ''}"

    def told(self, value: float) -> Value:
        """A number of the range as it is written into a recipe: whole, or of three significant digits, of more in a
        narrow range."""
        short = value if self.whole else float(f"{value:.{self._digits()}g}")
        kept = min(max(short, self.low), self.high)
        return round(kept) if self.whole else float(kept)

    def _digits(self) -> int:
        """Significant digits in which the values of the range differ by less than a tenth of it."""
        largest = max(abs(self.low), abs(self.high))
        return DIGITS + max(0, math.floor(math.log10(largest / (self.high - self.low))))

    def at(self, share: float) -> Value:
        """The value at a share of the range from 0 to 1, evenly or in equal ratios."""
        if self.log:
            return self.told(self.low * (self.high / self.low) ** share)
        return self.told(self.low + share * (self.high - self.low))

    def share(self, value: Value) -> float:
        """Where a value lies in the range, from 0 to 1."""
        if self.log:
            return math.log(float(value) / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)

    def grid(self, points: int) -> tuple[Value, ...]:
        """The choices, or so many values from end to end of the range."""
        if self.choices:
            return self.choices
        return tuple(dict.fromkeys(self.at(place / (points - 1)) for place in range(points)))

    def holds(self, value: Value) -> bool:
        """Whether that value is one of those."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def ends(self) -> tuple[Value, ...]:
        """All choices, or both ends."""
        return self.choices or (self.told(self.low), self.told(self.high))


def knobs(recipe: Recipe, catalog: Catalog) -> dict[str, Option]:
    """Every knob of the recipe that can be varied, by path: its own, and the options of its steps."""
    found = {option.name: option for option in RECIPE_OPTIONS if option.name not in FIXED}
    for place, step in enumerate(recipe.steps):
        entry = catalog.methods.get(step.stage, {}).get(step.method)
        options = entry.options if entry else ()
        found |= {f"steps.{place}.{option.name}": option for option in options}
    return found


def applied(recipe: Recipe, values: Values, catalog: Catalog) -> Recipe:
    """The recipe with these values, unchecked. A step whose method varies keeps those options that the new one has;
    values for options that it lacks are left out."""
    own = {path: value for path, value in values.items() if "." not in path}
    steps = [_step(step, f"steps.{place}.", values, catalog) for place, step in enumerate(recipe.steps)]
    changed: dict[str, Any] = dict(own)
    return replace(recipe, steps=tuple(steps), **changed)


def checked(recipe: Recipe, catalog: Catalog) -> Recipe:
    """The recipe through the one gate; raises UserErrors."""
    return check(recipe.to_data(), catalog).accepted()


def current(recipe: Recipe, path: str, catalog: Catalog) -> Value | None:
    """What the recipe has at `path`."""
    resolved = recipe.resolved(catalog)
    if "." not in path:
        return resolved.knobs().get(path)
    _, place, name = path.split(".")
    step = resolved.steps[int(place)]
    return step.method if name == "method" else step.options.get(name)


def takes(recipe: Recipe, path: str, catalog: Catalog) -> bool:
    """Whether the recipe, its methods chosen, has that knob."""
    return path.endswith(".method") or path in knobs(recipe, catalog)


# writing


def _step(step: Step, prefix: str, values: Values, catalog: Catalog) -> Step:
    mine = {path.removeprefix(prefix): value for path, value in values.items() if path.startswith(prefix)}
    method = str(mine.pop("method", step.method))
    entry = catalog.methods.get(step.stage, {}).get(method)
    known = {option.name for option in entry.options} if entry else set()
    given = {**step.options, **mine}
    kept = given if method == step.method and not set(mine) - known else {n: v for n, v in given.items() if n in known}
    return Step(step.stage, method, kept)


def told_value(value: Value) -> str:
    """A value as a command line says it."""
    return value if isinstance(value, str) else toml.write_value(value)
