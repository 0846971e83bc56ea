"""Single images of datasets in the cache, as PNG: where they are kept, and by what they are named."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from core.runs import Run
from core.storage.sealed import read_kept
from core.workspace import Workspace

FORMAT = 1  # of what is kept; another one is made anew
TARGET = "target"  # the split that stands for the images of a run's target


def kept_at(workspace: Workspace, run: Run, split: str, place: int) -> Path:
    """Where the image at `place` of a split is kept, as the run saw it."""
    recipe = run.recipe()
    known = run.state().environment
    named = [str(FORMAT), recipe.dataset, known.get("dataset_version", ""), str(recipe.image_size), recipe.backbone]
    if split == TARGET:  # which images those are depends on the classes of both
        named += [recipe.target, known.get("target_version", "")]
    key = sha256("\n".join(named).encode()).hexdigest()[:32]
    return workspace.cache / "pictures" / f"{key}-{split}-{place}.kept"


def kept_picture(workspace: Workspace, run: Run, split: str, place: int) -> bytes | None:
    """The image as PNG; None where nobody has drawn it yet, or it was damaged since."""
    return read_kept(kept_at(workspace, run, split, place))
