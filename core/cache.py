"""The caches of a workspace: shown with their sizes, and cleared without losing any result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError
from core.files import remove_tree
from core.runs import Run
from core.workspace import Workspace

DOWNLOADED = "weights"  # costs a download, so it is not cleared
MADE_AGAIN = "Made again when needed."
FETCHED = "Kept by --clear: it was downloaded. Delete the folder to fetch it again."


@dataclass(frozen=True)
class Cached:
    """A folder of the cache: the number of its `files` and their total `bytes` on disk."""

    path: Path
    file: str
    files: int
    bytes: int
    downloaded: bool

    def to_json(self, state: str) -> dict[str, str | int]:
        """As in the commands' JSON output; `state` is `kept` or `cleared`."""
        fix = FETCHED if self.downloaded else MADE_AGAIN
        return {"file": self.file, "state": state, "fix": fix, "files": self.files, "bytes": self.bytes}


def cached(workspace: Workspace) -> list[Cached]:
    """The cache folders that are not empty, and the decoded images of imported datasets."""
    folders = [*workspace.cache.glob("*"), *workspace.datasets.glob("own-*/cache")]
    return [found for folder in sorted(folders) if folder.is_dir() and (found := _measured(workspace, folder)).files]


def clear(workspace: Workspace) -> list[Cached]:
    """Removes what can be made again and returns what was removed; raises UserError `run_is_running` while a run is at
    work."""
    for run_id in workspace.run_ids():
        _refuse_running(workspace.run(run_id))
    found = [one for one in cached(workspace) if not one.downloaded]
    for one in found:
        remove_tree(one.path)
    return found


def _refuse_running(run: Run) -> None:
    if run.state().status.is_over:
        return
    with run.hold() as idle:
        if not idle:
            raise UserError("run_is_running", "run", run.id, "a workspace without a running run", "Wait for it to end.")


def _measured(workspace: Workspace, folder: Path) -> Cached:
    sizes = list(_sizes(folder))
    name = folder.relative_to(workspace.path).as_posix()
    return Cached(folder, name, len(sizes), sum(sizes), folder.name == DOWNLOADED)


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.stat().st_size
