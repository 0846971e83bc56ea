"""The target dataset of a recipe: whether it is needed, and whether it fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.catalog import Catalog
from core.errors import UserError
from core.rules.shared import Given


def target_faults(dataset: str, target: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """Adaptation without a target, and targets that do not fit, as far as the catalog knows their classes."""
    if not target:
        for n, (stage, method, options) in enumerate(steps):
            entry = catalog.method(stage, method)
            if entry.needs_target:
                yield no_target(f"steps.{n}.method", f"{stage}.{method}")
            for name, values in entry.target_choices.items():
                if options.get(name) in values:
                    yield no_target(f"steps.{n}.{name}", str(options[name]))
        return
    if target == dataset:
        fix = "Leave target out, or name the dataset that the model should adapt to."
        yield UserError("target_is_dataset", "target", target, f"a dataset other than dataset = {dataset}", fix)
        return
    yield from _idle(target, steps, catalog)
    ours, theirs = (catalog.dataset(name).get("class_names") or () for name in (dataset, target))
    if ours and theirs and not set(ours) & set(theirs):
        yield nothing_in_common(dataset, ours, target, theirs)


def _idle(target: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """A target without any label in a recipe that does not adapt: nothing is learned from it and nothing measured."""
    facts = catalog.dataset(target)
    if facts.get("unlabelled") and not facts.get("tests") and not any(_adapts(step, catalog) for step in steps):
        fix = "Begin with a method that adapts, such as coral or dann, or leave target out."
        given = f"{target}, which has no labels, and no step adapts to it"
        yield UserError("idle_target", "target", given, "a target to adapt to, or one with labels to measure on", fix)


def _adapts(step: Given, catalog: Catalog) -> bool:
    stage, method, options = step
    entry = catalog.method(stage, method)
    return entry.needs_target or any(options.get(name) in values for name, values in entry.target_choices.items())


def no_target(field: str, given: str) -> UserError:
    """The error for adaptation, chosen by `field`, in a recipe without a target."""
    allowed = "with a target, the name of a second dataset"
    fix = f'Add a line target = "…" with the dataset to adapt to, or choose another {field.rpartition(".")[2]}.'
    return UserError("no_target", field, f"{given} without a target", allowed, fix)


def nothing_in_common(dataset: str, ours: Sequence[str], target: str, theirs: Sequence[str]) -> UserError:
    """The error for two datasets that share no class name."""
    both = [
        f"{name} ({', '.join(names[:4])}{' …' if len(names) > 4 else ''})"
        for name, names in ((target, theirs), (dataset, ours))
    ]
    given = f"{both[0]}: no class of dataset = {both[1]}"
    allowed = f"a dataset with class names of dataset = {dataset}"
    fix = "Choose another target or another dataset; classes are matched by their exact names."
    return UserError("nothing_in_common", "target", given, allowed, fix)
