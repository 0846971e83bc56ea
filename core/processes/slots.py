"""How many runs may be at work at once: the cores of this machine that runs may use, and its GPUs.

A run takes as many cores as its recipe has `threads`, and, on CUDA, one GPU. One run at least is always at work,
whatever it takes. The setting is a file in the workspace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from core.errors import UserError, UserErrors
from core.files import remove_file, write_atomic
from core.hardware.machine import gpus, machine
from core.recipe import Recipe
from core.runs import Run
from core.storage.sealed import read_sealed, seal
from core.workspace import Workspace

FILE = "supervisor-slots.json"
MOST = 1024  # cores that may be set
MEMORY = 2 * 10**9  # bytes that must be free for a further run to begin


@dataclass(frozen=True)
class Need:
    """What a run takes: cores, and whether it needs a GPU."""

    cores: int = 1
    gpu: bool = False


Lasting = tuple[Need, float | None]  # and seconds, None if not known


@dataclass(frozen=True)
class Slots:
    """The cores that runs may use, of those the machine has, and its GPUs."""

    cores: int
    there: int
    gpus: int = 0

    @property
    def is_default(self) -> bool:
        """Whether all cores of the machine may be used, no more and no fewer."""
        return self.cores == self.there

    def admits(self, need: Need, taken: Sequence[Need]) -> bool:
        """Whether a run may begin beside those that `taken` describes."""
        if not taken:
            return True
        cores = sum(each.cores for each in taken) + need.cores
        cards = sum(each.gpu for each in taken) + need.gpu
        return cores <= self.cores and (not need.gpu or cards <= self.gpus)

    def free_gpu(self, taken: Iterable[int]) -> int:
        """The index of the first GPU that no run has; 0 if all are taken."""
        used = set(taken)
        return next((index for index in range(self.gpus) if index not in used), 0)


def slots(workspace: Workspace) -> Slots:
    """What runs in this workspace may use; as by default if the setting is missing or damaged."""
    there = machine().cores
    with suppress(OSError, ValueError, KeyError, TypeError):
        cores = json.loads(read_sealed(workspace.path / FILE))["cores"]
        if type(cores) is int and 1 <= cores <= MOST:
            return Slots(cores, there, gpus())
    return Slots(there, there, gpus())


def set_slots(workspace: Workspace, cores: int | None) -> Slots:
    """Sets the number of cores, or all of the machine's by None; raises UserError `out_of_range`."""
    if cores is None:
        remove_file(workspace.path / FILE)
    elif not 1 <= cores <= MOST:
        fix = f"The nearest allowed value is {min(max(cores, 1), MOST)}."
        raise UserError("out_of_range", "cores", cores, f"a whole number from 1 to {MOST}, or auto", fix)
    else:
        write_atomic(workspace.path / FILE, seal(json.dumps({"cores": cores}).encode()))
    return slots(workspace)


def need_of(run: Run, gpus_here: int) -> Need:
    """What a run takes, by its recipe; of an unreadable recipe, which fails at once, one core."""
    try:
        recipe = run.recipe()
    except (OSError, ValueError, UserError, UserErrors):
        return Need()
    return need(recipe, gpus_here)


def need(recipe: Recipe, gpus_here: int) -> Need:
    """What a run of the recipe takes."""
    return Need(recipe.threads, recipe.device == "cuda" or (recipe.device == "auto" and gpus_here > 0))


def is_room() -> bool:
    """Whether there is memory for one more run beside others."""
    return psutil.virtual_memory().available > MEMORY


def starts(ahead: Sequence[Lasting], going: Sequence[Lasting], limit: Slots) -> list[float | None]:
    """When each run that waits begins, in seconds from now: `ahead` are what the waiting runs take and how long each
    lasts, in their order, `going` those at work with the seconds left. None from the first on that is not known."""
    found: list[float | None] = []
    at_work = list(going)
    now = 0.0
    for taken, lasts in ahead:
        while not limit.admits(taken, [each for each, _ in at_work]):
            ends = [end for _, end in at_work if end is not None]
            if len(ends) < len(at_work) or not ends:
                return [*found, *[None] * (len(ahead) - len(found))]
            now = max(now, min(ends))
            at_work = [(each, end) for each, end in at_work if end is None or end > now]
        found.append(now)
        at_work.append((taken, None if lasts is None else now + lasts))
    return found
