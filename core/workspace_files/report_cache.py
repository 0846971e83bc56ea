"""Where reports on datasets, and strips of their images, are cached.

The engine inspects every image once per version. The results are files that carry their hash: the report, a strip of
samples for each class, and one for each group of duplicates.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from core.own.dataset_report import Report
from core.own.datasets import CARD, find_home
from core.storage.sealed import read_kept
from core.workspace import Workspace

FORMAT = 1  # of the cached files; those of another format are made again


def key_of(workspace: Workspace, name: str) -> str:
    """The cache key of a dataset: for an imported one the hash of its card, which names every image."""
    home = find_home(name, workspace.datasets)
    content = (home / CARD).read_bytes() if home is not None else name.encode()
    return hashlib.sha256(b"%d " % FORMAT + content).hexdigest()[:32]


def kept_path(cache: Path, key: str, part: str) -> Path:
    """The cached file of one `part`: `report`, `samples`, `class-3` or `group-0`."""
    return cache / "datasets" / f"{key}-{part}.kept"


def kept_report(workspace: Workspace, name: str) -> Report | None:
    """The cached report on this version of the dataset; None if there is none yet."""
    try:
        found = read_kept(kept_path(workspace.cache, key_of(workspace, name), "report"))
        return None if found is None else Report.model_validate_json(found)
    except (OSError, ValidationError):
        return None


def kept_picture(workspace: Workspace, name: str, part: str) -> bytes | None:
    """A cached strip of images as PNG; None if there is none."""
    try:
        return read_kept(kept_path(workspace.cache, key_of(workspace, name), part))
    except OSError:
        return None
