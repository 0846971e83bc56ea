"""The images that a run was measured on, loaded again."""

from __future__ import annotations

from collections.abc import Callable

from core.engine.backbones import find
from core.engine.data.catalog import load_dataset
from core.engine.data.dataset import Dataset
from core.runs import Run
from core.workspace import Workspace


def dataset_of(run: Run, store: Workspace, tick: Callable[[str, int, int | None], None]) -> Dataset:
    """The run's dataset in the version it began with; raises UserError where that is gone, or damaged."""
    recipe = run.recipe()
    size = find(recipe.backbone).side(recipe.image_size)
    version = run.state().environment.get("dataset_version", "")
    return load_dataset(recipe.dataset, size, folder=store.datasets, version=version, progress=tick)
