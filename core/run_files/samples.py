"""Results of real runs that come with the program, to explore before a first run: `assets/samples/<run id>/`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from core.assets import SAMPLES
from core.errors import UserError
from core.runs import Run, RunSummary

ID = re.compile(r"[0-9a-f]{13}-[0-9a-f]{6}")


@cache
def samples(folder: Path = SAMPLES) -> tuple[RunSummary, ...]:
    """All sample runs as rows, newest first, read once per process; none if the folder is missing."""
    found = sorted((path for path in _entries(folder) if (path / "result.json").is_file()), reverse=True)
    return tuple(Run(path).summary() for path in found)


def sample(run_id: str, folder: Path = SAMPLES) -> Run:
    """The sample run with that id, for reading only; raises UserError `unknown_sample` for any other text."""
    path = folder / run_id
    if not ID.fullmatch(run_id) or not (path / "recipe.toml").is_file():
        fix = "Choose one on the page Trade-offs."
        raise UserError("unknown_sample", "sample", run_id, "the id of a sample run", fix)
    return Run(path)


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if ID.fullmatch(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
