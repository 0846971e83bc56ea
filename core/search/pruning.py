"""Trials that are cut early: which step is watched, what is compared, and what a run's log says of it.

A trial is compared with the others at the same epoch of one step, by its best validation accuracy up to there; models
of different steps are never compared. A run that is cut is cancelled with a warning that says by what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from core.catalog import Catalog
from core.options import Value
from core.recipe import Recipe
from core.search.space import Vary
from core.state import RunState, Status
from core.text import formatting

Pruner = Literal["none", "median", "hyperband"]
PRUNERS: tuple[Pruner, ...] = ("none", "median", "hyperband")
CUT = "cut_by_search"  # the code of the warning in a run's log
Curve = Sequence[tuple[int, float]]  # epoch from 1, best validation accuracy so far


def watched(recipe: Recipe, varied: Iterable[Vary], catalog: Catalog) -> int | None:
    """The step with the most epochs from the first one on that a knob varies, the later of equals; None where none of
    them trains in epochs."""
    places = [int(vary.path.split(".")[1]) if "." in vary.path else 0 for vary in varied]
    epochs = epochs_of(recipe, catalog)
    from_here = [place for place in range(min(places, default=0), len(epochs)) if epochs[place]]
    return max(from_here, key=lambda place: (epochs[place], place), default=None)


def most_epochs(recipe: Recipe, varied: Iterable[Vary], catalog: Catalog, step: int) -> int:
    """How many epochs that step has at most."""
    ends = (vary.ends() for vary in varied if vary.path == f"steps.{step}.epochs")
    varies = [int(each) for each in next(ends, ())]
    return max([epochs_of(recipe, catalog)[step], *varies])


def epochs_of(recipe: Recipe, catalog: Catalog) -> list[int]:
    """The epochs of each step as the recipe has them; 0 for a step that does not train in epochs."""
    found: list[Value] = [step.options.get("epochs", 0) for step in recipe.resolved(catalog).steps]
    return [each if isinstance(each, int) else 0 for each in found]


def curve(state: RunState, step: int, seed: int) -> Curve:
    """The best validation accuracy up to each epoch of that step's own training."""
    found: list[tuple[int, float]] = []
    for told in next((each.curve for each in state.steps if each.step == step), ()):
        own = told.seed == seed and told.what == "training" and not told.control and not told.batch
        if own and told.validation_accuracy is not None:
            best = max(told.validation_accuracy, found[-1][1] if found else 0.0)
            found.append((told.epoch, best))
    return found


def reason(pruner: Pruner, step: int, so_far: Curve) -> str:
    """What a run's log says of being cut."""
    epoch, best = so_far[-1]
    return (
        f"Its search cut this trial ({pruner}): up to epoch {epoch} of step {step + 1} it reached "
        f"{formatting.percent(best)} on validation, less than others by then. Resume it to see it through."
    )


def was_cut(state: RunState) -> str:
    """Why the search cut the run; empty where it did not, or where it was seen through all the same."""
    told = (warned.message for warned in state.warnings if warned.code == CUT)
    return next(told, "") if state.status is Status.CANCELLED else ""
