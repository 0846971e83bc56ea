"""Sets without labels: what they may be in a recipe, and whether the steps use the pool that it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.catalog import Catalog, Facts
from core.errors import UserError
from core.rules.shared import Given, whole


def label_faults(dataset: str, catalog: Catalog) -> Iterator[UserError]:
    """A dataset without labels, which cannot be trained on alone."""
    if catalog.dataset(dataset).get("unlabelled"):
        yield without_labels("dataset", dataset)


def without_labels(field: str, name: str) -> UserError:
    """The error for a set without labels where labels are needed."""
    fix = f"Choose a labelled dataset; {name} may be its target (to adapt to) or its pool (to distil on)."
    given = f"{name}, which has no labels: it cannot be trained on alone"
    return UserError("without_labels", field, given, "a dataset with labels", fix)


def pool_faults(dataset: str, pool: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """A pool that is the dataset itself, or that no step uses."""
    if not pool:
        return
    if pool == dataset:
        fix = "Set labels: the training images beyond it are unlabelled already. Or name another dataset."
        yield UserError("pool_is_dataset", "pool", pool, f"a dataset other than dataset = {dataset}", fix)
    elif not any(uses_pool(step, catalog) for step in steps):
        fix = "Add a distill step with pool = true or transfer.pseudo_labels, or leave pool out."
        yield UserError("idle_pool", "pool", f"{pool}, which no step uses", "a step that learns without labels", fix)


def uses_pool(step: Given, catalog: Catalog) -> bool:
    """Whether a step learns from unlabelled images."""
    stage, method, given = step
    options = {option.name: option.default for option in catalog.method(stage, method).options} | given
    return options.get("pool") is True or "confidence" in options


def pool_images(facts: Facts) -> int | None:
    """How many images a dataset gives as a pool, those of its training split; None if the catalog does not know."""
    return whole(facts, "train") or whole(facts, "images")
