"""What a person asked a search for: the recipe, what varies, the bounds, and how long it may take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel

from core.catalog import Catalog
from core.errors import UserError, nearest
from core.options import Value
from core.recipe import Recipe, stored_recipe
from core.search.bounds import Bounds
from core.search.pruning import PRUNERS, Pruner, watched
from core.search.reading import parse
from core.search.space import Vary
from core.summary import IMMUTABLE

Sampler = Literal["gp", "tpe", "nsga2", "random", "grid"]
SAMPLERS: tuple[Sampler, ...] = ("gp", "tpe", "nsga2", "random")
MOST_TRIALS = 1000
MOST_MINUTES = 14 * 24 * 60.0
TRIALS = 40  # where neither trials nor minutes are said
POINTS = 5  # of a sweep's range
MOST_SWEPT = 2  # knobs of a sweep
MOST_SLOTS = 64  # trials at once


class Specification(BaseModel):
    """A search as it is stored. `recipe` is the TOML that is varied, `vary` as on a command line; `minutes` None: as
    long as the trials take. A sweep is the search whose sampler is `grid`: every combination once. Up to `slots` trials
    are in the queue or at work at once."""

    model_config = IMMUTABLE

    recipe: str
    vary: tuple[Vary, ...]
    bounds: Bounds = Bounds()
    trials: int = TRIALS
    minutes: float | None = None
    sampler: Sampler = "gp"
    seed: int = 0
    pruner: Pruner = "none"
    slots: int = 1

    @property
    def is_sweep(self) -> bool:
        return self.sampler == "grid"

    @property
    def name(self) -> str:
        """The recipe's."""
        return self.base().name

    def base(self) -> Recipe:
        """The recipe that is varied."""
        return stored_recipe(self.recipe)

    def combinations(self) -> int | None:
        """How many settings there are; None where a range has too many to count."""
        if any(not vary.choices and not vary.whole for vary in self.vary):
            return None
        return math.prod(len(v.choices) or round(v.high - v.low) + 1 for v in self.vary)


def search(
    recipe: Recipe,
    vary: Iterable[str],
    catalog: Catalog,
    bounds: Bounds,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    sampler: str = "gp",
    seed: int = 0,
    pruner: str = "none",
    slots: int = 1,
) -> Specification:
    """A search for the best within bounds. Raises UserErrors or UserError with what cannot be meant."""
    varied = parse(vary, recipe, catalog)
    count = _trials(trials if trials is not None else MOST_TRIALS if minutes is not None else TRIALS)
    if minutes is not None and not 0 < minutes <= MOST_MINUTES:
        fix = "Give the minutes it may take, or leave them out."
        raise UserError("out_of_range", "--minutes", minutes, f"above 0, at most {MOST_MINUTES:.0f}", fix)
    kind = next((each for each in SAMPLERS if each == sampler), None)
    if kind is None:
        raise _unknown("--sampler", sampler, SAMPLERS)
    cutting = next((each for each in PRUNERS if each == pruner), None)
    if cutting is None:
        raise _unknown("--pruner", pruner, PRUNERS)
    if cutting != "none" and watched(recipe, varied, catalog) is None:
        fix = "Leave --pruner out: there is no epoch after which a trial could be cut."
        raise UserError("nothing_to_cut", "--pruner", pruner, "a recipe that varies before or in a training", fix)
    if bounds.drop is not None and sum(step.stage != "export" for step in recipe.steps) < 2:
        fix = "Leave --max-drop out, or add a step after the first."
        raise UserError("no_teacher", "--max-drop", bounds.drop, "a recipe whose first model is not its last", fix)
    return Specification(
        recipe=recipe.to_toml(),
        vary=varied,
        bounds=bounds,
        trials=count,
        minutes=minutes,
        sampler=kind,
        seed=seed,
        pruner=cutting,
        slots=_slots(slots),
    )


def sweep(
    recipe: Recipe, vary: Iterable[str], catalog: Catalog, points: int = POINTS, *, slots: int = 1
) -> Specification:
    """Every combination of one or two knobs, a range in so many `points`. Raises as `search`."""
    if not 2 <= points <= 50:
        fix = f"The nearest allowed value is {2 if points < 2 else 50}."
        raise UserError("out_of_range", "--points", points, "a whole number from 2 to 50", fix)
    varied = parse(vary, recipe, catalog)
    if len(varied) > MOST_SWEPT:
        fix = "Sweep two of them, or let `condenser search` choose."
        raise UserError("too_many", "--vary", f"{len(varied)} knobs", f"at most {MOST_SWEPT}", fix)
    axes = tuple(Vary(each.path, choices=each.grid(points)) for each in varied)
    count = math.prod(len(axis.choices) for axis in axes)
    if count > MOST_TRIALS:
        raise UserError(
            "too_many", "--vary", f"{count:,} combinations", f"at most {MOST_TRIALS:,}", "Give fewer values."
        )
    return Specification(recipe=recipe.to_toml(), vary=axes, trials=count, sampler="grid", slots=_slots(slots))


def cells(axes: Sequence[Vary]) -> list[dict[str, Value]]:
    """All combinations, the last knob changing fastest: cheap late steps are tried together."""
    rows: list[dict[str, Value]] = [{}]
    for axis in axes:
        rows = [{**row, axis.path: value} for row in rows for value in axis.choices]
    return rows


def _unknown(option: str, given: str, known: Sequence[str]) -> UserError:
    return UserError("unknown_choice", option, given, f"one of {', '.join(known)}", nearest(given, known))


def _slots(slots: int) -> int:
    if not 1 <= slots <= MOST_SLOTS:
        fix = f"The nearest allowed value is {min(max(slots, 1), MOST_SLOTS)}."
        raise UserError("out_of_range", "--slots", slots, f"a whole number from 1 to {MOST_SLOTS}", fix)
    return slots


def _trials(trials: int) -> int:
    if not 1 <= trials <= MOST_TRIALS:
        fix = f"The nearest allowed value is {min(max(trials, 1), MOST_TRIALS)}."
        raise UserError("out_of_range", "--trials", trials, f"a whole number from 1 to {MOST_TRIALS}", fix)
    return trials
