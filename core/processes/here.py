"""What this machine cannot do of a recipe, or not as the recipe asks, known before anything is run and without torch.

A recipe may be meant for another machine: `condenser check` warns, and only what would begin here is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from core.catalog import Catalog, load_catalog
from core.cluster.setting import cluster_of
from core.errors import UserError, UserErrors
from core.hardware.machine import bfloat16_units, devices, gpus, lacks, machine, missing_package, no_device
from core.recipe import Recipe
from core.runs import Run
from core.runtimes import INSTALLED, ONNXRUNTIME, OPENVINO, title
from core.text.formatting import Amount
from core.workspace import Workspace

REMARKS = {
    "threads": "threads: {count}, but this machine has {cores:core|cores}: more threads than cores make a run slower.",
    "latency_threads": "latency_threads: {count}, but this machine has {cores:core|cores}: with more threads than "
    "cores a latency is mostly waiting.",
    "bfloat16": "precision: bfloat16, but this processor computes no faster in it than in float32.",
}


@dataclass(frozen=True)
class Remark:
    """What a recipe asks for (`code`) and how much of it, and the cores of this machine; as text in English."""

    code: Literal["threads", "latency_threads", "bfloat16"]
    count: int = 0
    cores: int = 0

    def __str__(self) -> str:
        return REMARKS[self.code].format(count=self.count, cores=Amount(self.cores))


def refusals(recipe: Recipe, catalog: Catalog | None = None) -> tuple[UserError, ...]:
    """What a run of the recipe on this machine would be refused for at its start, as far as it is certain."""
    return tuple(_refusals(recipe, catalog or load_catalog()))


def lacking(workspace: Workspace, recipe: Recipe) -> tuple[UserError, ...]:
    """As `refusals`, for a run of the workspace: nothing where its runs go to a cluster, whose nodes answer for
    themselves."""
    return () if cluster_of(workspace) else refusals(recipe)


def refuse(workspace: Workspace, recipe: Recipe) -> None:
    """Raises UserErrors where a run of the recipe could not begin, in a workspace whose runs stay on this machine."""
    if found := lacking(workspace, recipe):
        raise UserErrors(found)


def refuse_run(workspace: Workspace, run: Run) -> None:
    """As `refuse`, for a run that is to go on; one whose recipe cannot be read says so itself when it begins."""
    try:
        recipe = run.recipe()
    except (UserErrors, OSError, ValueError):
        return
    refuse(workspace, recipe)


def refuse_here(recipe: Recipe) -> None:
    """Raises UserErrors where a run of the recipe could not begin on this machine."""
    if found := refusals(recipe):
        raise UserErrors(found)


def remarks(recipe: Recipe) -> tuple[Remark, ...]:
    """What this machine does otherwise than the recipe probably expects."""
    return tuple(_remarks(recipe))


def measured_in(recipe: Recipe) -> str:
    """A sentence on the runtimes in which a run here measures each saved file."""
    if recipe.runtimes != INSTALLED:
        return f"Saved files are measured in {title(ONNXRUNTIME)} alone."
    if lacks(OPENVINO):
        return f"Saved files are measured here in {title(ONNXRUNTIME)}; {title(OPENVINO)} is not installed."
    return f"Saved files are measured here in {title(ONNXRUNTIME)} and {title(OPENVINO)}."


def _refusals(recipe: Recipe, catalog: Catalog) -> Iterator[UserError]:
    found = devices()
    if recipe.device not in ("auto", *found):
        yield no_device(recipe.device, found)
    for number, step in enumerate(recipe.steps):
        entry = catalog.methods.get(step.stage, {}).get(step.method)
        if entry is not None and entry.needs_package and lacks(entry.needs_package):
            yield missing_package(f"steps.{number}.method", f"{step.stage}.{step.method}", entry.needs_package)


def _remarks(recipe: Recipe) -> Iterator[Remark]:
    cores = machine().cores
    if recipe.threads > cores:
        yield Remark("threads", recipe.threads, cores)
    if recipe.latency_threads > cores:
        yield Remark("latency_threads", recipe.latency_threads, cores)
    if recipe.precision == "bfloat16" and _on_cpu(recipe) and not bfloat16_units():
        yield Remark("bfloat16")


def _on_cpu(recipe: Recipe) -> bool:
    return recipe.device == "cpu" or (recipe.device == "auto" and not gpus() and devices() == ("cpu",))
