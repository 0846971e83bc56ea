"""What a run needs on a node: its own folder, its datasets and a person's networks, file by file with their hashes.

A file travels to a node only if the node has no file of that content at that place, so once per node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.cluster.hashes import Hashes
from core.errors import UserError, UserErrors
from core.files import safe_join
from core.own.added_backbones import START
from core.own.datasets import find_home
from core.own.models import PREFIX, bare_name, network_home
from core.recipe import Recipe, named_backbones
from core.runs import Run
from core.storage.sealed import file_hash
from core.workspace import Workspace

KINDS = ("runs", "datasets", "models")  # the folders of a workspace that travel
HERE = (
    "events.jsonl",
    "recipe.toml",
    "log.txt",
    "worker.json",
    "foreground.json",
    "run.lock",
    "cancel",
    "pause",
    "notes.json",
    "result.json",
    "node.json",
)
STARTS_WITH = ("events.jsonl", "recipe.toml", "notes.json")  # those of a run that a node gets as well
MADE_AGAIN = ("cache", "archives")  # folders of a dataset that a node makes itself, or needs no more


@dataclass(frozen=True)
class Item:
    """A file: `path` is relative to the workspace, with slashes; `bytes` its length."""

    path: str
    bytes: int
    sha256: str


def cargo(run: Run) -> list[Item]:
    """Every file that the run needs on a node, in the order in which they travel: a dataset's card after its images."""
    workspace = Workspace(run.folder.parent.parent)
    hashes = Hashes(workspace.path)
    shared = [item(workspace.path, path, hashes) for path in _shared(workspace, run)]
    hashes.keep()
    return [*shared, *own_files(workspace.path, run)]


def own_files(root: Path, run: Run) -> list[Item]:
    """The files of the run itself, with its events and recipe."""
    begin = [run.folder / name for name in STARTS_WITH if (run.folder / name).is_file()]
    return [item(root, path) for path in (*begin, *results(run.folder))]


def results(folder: Path) -> Iterator[Path]:
    """The files of a run's folder that its worker made, without unfinished ones and those that each machine has for
    itself."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if not hidden and inside.parts[0] not in HERE and path.is_file() and not path.is_symlink():
            yield path


def place_for(folder: Path, name: str) -> Path:
    """Where a result named by a node belongs in the run's folder; raises UserError `unsafe_path`."""
    path = safe_join(folder, name)
    parts = path.relative_to(folder).parts
    if parts[0] in HERE or any(part.startswith(".") for part in parts):
        raise UserError("unsafe_path", "path", name, "a result of a run", "Look at what runs on that node.")
    return path


def item(root: Path, path: Path, hashes: Hashes | None = None) -> Item:
    """The file as it is now; raises OSError if it is gone."""
    digest = hashes.of(path) if hashes else file_hash(path)
    return Item(path.relative_to(root).as_posix(), path.stat().st_size, digest)


def _shared(workspace: Workspace, run: Run) -> Iterator[Path]:
    try:
        recipe = run.recipe()
    except (UserError, UserErrors, OSError, ValueError):  # its worker says what is wrong with it
        return
    yield from _datasets(workspace, recipe)
    yield from _networks(workspace, named_backbones(recipe))


def _datasets(workspace: Workspace, recipe: Recipe) -> Iterator[Path]:
    for name in dict.fromkeys(name for name in (recipe.dataset, recipe.target, recipe.pool) if name):
        home = find_home(name, workspace.datasets)
        if home is None and (workspace.datasets / name).parent == workspace.datasets:
            home = workspace.datasets / name  # a published one, as far as it was downloaded
        if home is not None and home.is_dir():
            inner = {path for path in home.iterdir() if path.name not in MADE_AGAIN and not path.name.startswith(".")}
            if not inner:  # nothing but archives
                inner = set(home.iterdir())
            yield from sorted(_files(inner), key=lambda path: path.parent == home)


def _networks(workspace: Workspace, names: Iterable[str]) -> Iterator[Path]:
    yield from sorted(workspace.models.glob(f"{START}*.json"))
    for name in dict.fromkeys(names):
        if name.startswith(PREFIX) and (home := network_home(bare_name(name), workspace.models)).is_dir():
            yield from sorted(_files([home]))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_symlink():
            continue
        yield from (one for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())
