"""The images that a run was measured on, loaded again."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from core.engine.backbones import find
from core.engine.data.catalog import load_dataset
from core.engine.data.dataset import Dataset
from core.engine.data.target import Target, matched
from core.runs import Run
from core.workspace import Workspace


def dataset_of(run: Run, store: Workspace, tick: Callable[[str, int, int | None], None]) -> Dataset:
    """The run's dataset in the version it began with; raises UserError where that is gone, or damaged."""
    recipe = run.recipe()
    size = find(recipe.backbone).side(recipe.image_size)
    version = run.state().environment.get("dataset_version", "")
    return load_dataset(recipe.dataset, size, folder=store.datasets, version=version, progress=tick)


def target_of(run: Run, store: Workspace, tick: Callable[[str, int, int | None], None]) -> Target | None:
    """The run's target in the version it began with, None without one; raises UserError where that is gone, or
    damaged."""
    recipe = run.recipe()
    if not recipe.target:
        return None
    size = find(recipe.backbone).side(recipe.image_size)
    version = run.state().environment.get("target_version", "")
    loaded = load_dataset(recipe.target, size, folder=store.datasets, progress=tick, version=version, unlabelled=True)
    return matched(dataset_of(run, store, tick), loaded, lambda code, message: None)


def target_images(target: Target) -> Tensor:
    """The images of a target that are shown, uint8 [N, C, H, W]: its test split, whose labels are known, or else those
    without labels."""
    return target.test.images if len(target.test) else target.unlabelled.images
