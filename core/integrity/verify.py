"""Checks every stored file of a workspace, or of one run, dataset or network, against the hash it was written with.

Nothing is written, so that read-only workspaces can be verified too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from core.classroom.checks import in_corner, of_class
from core.classroom.hand_in import lessons_of
from core.classroom.places import corners
from core.errors import UserError
from core.integrity.damage import RESULT, Condition, Finding, of_run
from core.integrity.file_checks import (
    document,
    files,
    fits,
    has_hash,
    has_hashes,
    hashed,
    identities,
    is_there,
    listed,
    misplaced,
    under,
)
from core.own.added_backbones import added_files, is_added
from core.own.datasets import CARD, UNPACKED, home_of, is_dataset
from core.own.models import CARD as NETWORK_CARD
from core.own.models import WEIGHTS, damaged_networks, network_home
from core.run_files.answers import FOLDER as ANSWERS
from core.runs import Run
from core.search.specification import Specification
from core.search.store import FOLDER as SEARCHES
from core.search.store import search_ids
from core.search.trial import Progress
from core.storage.sealed import file_hash, read_sealed, unseal
from core.storage.tensors import has_whole_content
from core.workspace import Workspace

AGAIN = "Run the recipe again: steps whose models are cached are not trained again."
VERSION = "An earlier version of the dataset; only runs that began with it need it. Delete the file."
CACHED = "Nothing needs to be done: it is made again when needed. `condenser cache --clear` removes it."
RESUMED = "Nothing needs to be done: a resumed run continues from the checkpoint before it."
MADE = "A resumed run repeats the step; a finished run only loses its layer-by-layer sensitivity."
COMPUTED = "Nothing needs to be done: the page Inspect has it computed again."
ASK_SEARCH = "Ask for a new search: steps whose models are cached are not trained again."
RESUMED_SEARCH = "A resumed search writes it again from its runs: `condenser resume`."
CONFIRM = "Confirm the trial again; the runs themselves are whole."
ASK_AGAIN = "Try again: answers are kept for a day only."
ADD_AGAIN = "Delete it and add the network again: condenser add-backbone."
FETCH = "Delete it; the next run downloads or decodes it again."
DIARY = "Begin the lesson again on the page Learn; runs are kept."
SEARCH = (
    ("search.json", ASK_SEARCH, partial(fits, Specification)),
    ("progress.json", RESUMED_SEARCH, partial(fits, Progress)),
    ("confirmed.json", CONFIRM, lambda told: all(isinstance(value, str) for value in told.values())),
)
MADE_FOLDER, HASHES = "made", "files.json"
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+")
BY_CONTENT = re.compile(r"[0-9a-f]{64}")


def verify(workspace: Workspace, name: str = "") -> list[Finding]:
    """One finding per file: of the whole workspace and the corners of its learners, or of the run, dataset or imported
    network `name`, which may lie in a corner.

    Raises UserError `no_workspace`, or `unknown_name` if nothing has that name.
    """
    if not workspace.path.is_dir():
        raise UserError("no_workspace", "workspace", str(workspace.path), "an existing folder", "Check --workspace.")
    if not name:
        return [*_everything(workspace), *of_class(workspace.path, _everything)]
    found = _named(workspace, name)
    inside = [(corner, _named(Workspace(corner), name)) for corner in corners(workspace.path)]
    if found is not None or any(known is not None for _, known in inside):
        return [*(found or ()), *(one for corner, known in inside for one in in_corner(corner, known or ()))]
    fix = "List them with `condenser runs` and `condenser list datasets`, or leave it out to verify everything."
    allowed = "the id of a run, or the name of a dataset on this machine or of an imported network"
    raise UserError("unknown_name", "name", name, allowed, fix)


def _named(workspace: Workspace, name: str) -> list[Finding] | None:
    """Of the run, dataset or network of that name; None if the workspace has none."""
    if name in workspace.run_ids():
        return list(under(f"runs/{name}", of_whole_run(workspace.run(name))))
    for home in _homes(workspace.datasets, "*"):
        if home.name == name or home == home_of(name, workspace.datasets):
            return list(under(f"datasets/{home.name}", _of_home(home)))
    network = network_home(name, workspace.models)
    if network.is_dir():
        return list(under(f"models/{network.name}", of_network(network)))
    return None


def _homes(folder: Path, pattern: str) -> list[Path]:
    """The folders of datasets or networks; what is lent to a corner is verified where it lies."""
    return sorted(path for path in folder.glob(pattern) if path.is_dir() and not path.is_symlink())


def _everything(workspace: Workspace) -> Iterator[Finding]:
    yield from identities(workspace.path)
    for run_id in workspace.run_ids():
        yield from under(f"runs/{run_id}", of_whole_run(workspace.run(run_id)))
    for home in _homes(workspace.datasets, "*"):
        yield from under(f"datasets/{home.name}", _of_home(home))
    for home in _homes(workspace.models, "own-*"):
        yield from under(f"models/{home.name}", of_network(home))
    yield from under("models", of_added(workspace.models))
    for search_id in search_ids(workspace):
        yield from under(f"searches/{search_id}", _of_search(workspace.path / SEARCHES / search_id))
    for diary in lessons_of(workspace.path):
        yield document(workspace.path, diary.relative_to(workspace.path).as_posix(), DIARY)
    yield from under("cache", of_cache(workspace.cache))
    for job_id in workspace.job_ids():
        folder = workspace.path / "jobs" / job_id
        names = [name for name in ("request.json", "result.json") if is_there(folder / name)]
        yield from under(f"jobs/{job_id}", [document(folder, name, ASK_AGAIN) for name in names])


def _of_search(folder: Path) -> Iterator[Finding]:
    """What was asked, where it stands, and who works on it; the journal is Optuna's and has no hashes."""
    return with_misplaced(folder, _of_documents(folder))


def _of_documents(folder: Path) -> Iterator[Finding]:
    for name, fix, whole in SEARCH:
        if is_there(folder / name):
            yield document(folder, name, fix, whole)
        elif name == "search.json":
            yield Finding(name, Condition.MISSING, fix)
    yield from identities(folder)


# a run


def of_whole_run(run: Run) -> Iterator[Finding]:
    """One finding for each file of a run; paths are relative to its folder."""
    return with_misplaced(run.folder, _of_files(run))


def with_misplaced(folder: Path, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of a folder, and what lies in it in the place of a file."""
    known = set()
    for found in findings:
        known.add(found.file)
        yield found
    yield from misplaced(folder, known)


def _of_files(run: Run) -> Iterator[Finding]:
    state = run.state()
    bad = {found.file: found for found in of_run(run, state)}
    yield from bad.values()
    if run.has_log() and "events.jsonl" not in bad:
        yield Finding("events.jsonl", Condition.OK)
    if (run.folder / "recipe.toml").exists() and "recipe.toml" not in bad:
        yield Finding("recipe.toml", Condition.OK if run.launched() else Condition.UNSEALED)
    for name in ("result.json", "notes.json"):
        if (run.folder / name).exists() and name not in bad:
            yield _summary(run) if name == "result.json" else document(run.folder, name, "")
    if state.status.is_over and run.has_log() and not run.result.exists():
        yield Finding("result.json", Condition.MISSING, RESULT)
    yield from identities(run.folder)
    yield from _artifacts(run)
    yield from _checkpoints(run)
    for path in files(run.folder / ANSWERS):
        whole = has_whole_content(path)
        relative = path.relative_to(run.folder).as_posix()
        yield Finding(relative, *((Condition.OK,) if whole else (Condition.DAMAGED, COMPUTED)))


def _summary(run: Run) -> Finding:
    """A summary without a seal is checked against the log."""
    sealed = unseal(run.result.read_bytes()).sealed
    folded = run.fold_whole()
    if not sealed and folded.seq >= 0 and not folded.lost and run.summary().points != folded.points:
        return Finding("result.json", Condition.DAMAGED, "It differs from the run's log. Delete it: it is made again.")
    return Finding("result.json", Condition.OK if sealed else Condition.UNSEALED)


def _artifacts(run: Run) -> Iterator[Finding]:
    known = {saved.path: saved.sha256 for saved in run.state().artifacts}
    for path, digest in sorted(known.items()):
        yield hashed(run.folder, path, digest, AGAIN)
    for file in files(run.artifacts):
        relative = file.relative_to(run.folder).as_posix()
        if relative not in known:
            yield _unhashed(run.folder, relative)


def _unhashed(root: Path, relative: str) -> Finding:
    whole = has_whole_content(root / relative)
    if whole is None:
        return Finding(relative, Condition.UNKNOWN)
    return Finding(relative, Condition.UNSEALED if whole else Condition.DAMAGED, "" if whole else AGAIN)


def _checkpoints(run: Run) -> Iterator[Finding]:
    """Checkpoints of training, and the results of finished steps."""
    for path in files(run.checkpoints):
        relative = path.relative_to(run.folder).as_posix()
        if path.name.startswith("epoch-"):
            yield from _checkpoint(run.folder, relative)
        elif path.name == "choice.json":
            yield document(run.folder, relative, MADE)
        elif path.parent.name != MADE_FOLDER:
            yield _unhashed(run.folder, relative)
    for folder in sorted({*run.checkpoints.rglob(MADE_FOLDER), *_expected(run)}):
        yield from _made(run, folder.relative_to(run.folder).as_posix())


def _expected(run: Run) -> Iterator[Path]:
    """Where each measured step left its network; nothing of a run that came from another workspace, without any."""
    state = run.state()
    if run.launched() and not state.lost and any(run.checkpoints.rglob(MADE_FOLDER)):
        steps = {(m.seed, m.point.step) for m in state.measured if m.role != "control"}
        yield from (run.checkpoints / f"seed-{seed}" / f"step-{step}" / MADE_FOLDER for seed, step in steps)


def _made(run: Run, relative: str) -> Iterator[Finding]:
    """The network and the logits of a finished step, checked by the hashes next to them."""
    hashes = f"{relative}/{HASHES}"
    known = listed(run.folder / hashes)
    if (run.folder / hashes).exists():
        yield document(run.folder, hashes, MADE, has_hashes)
    elif run.launched():
        yield Finding(hashes, Condition.MISSING, MADE)
    there = {path.name for path in files(run.folder / relative)} - {HASHES}
    for name in sorted(there | set(known)):
        path = f"{relative}/{name}"
        yield hashed(run.folder, path, known[name], MADE) if name in known else Finding(path, Condition.UNSEALED)


def _checkpoint(root: Path, relative: str) -> Iterator[Finding]:
    """A checkpoint of training: its tensors are checked by the hash in its manifest, if it has one."""
    path = root / relative
    if path.suffix == ".json":
        yield document(root, relative, RESUMED, has_hash)
        if digest := listed(path).get("sha256", ""):
            yield hashed(root, relative.removesuffix(".json") + ".safetensors", digest, RESUMED)
    elif not listed(path.with_suffix(".json")):
        yield Finding(relative, Condition.UNKNOWN)


# datasets, caches


def _of_home(home: Path) -> Iterator[Finding]:
    return with_misplaced(home, of_dataset(home) if home.name.startswith("own-") else of_published(home))


def of_dataset(home: Path) -> Iterator[Finding]:
    """An imported dataset: its labels, its images by the hashes in their names, and the caches of decoded images."""
    fix = f"Delete the folder datasets/{home.name} of the workspace and import the images again."
    has_card = (home / CARD).exists()
    card = document(home, CARD, fix, is_dataset) if has_card else Finding(CARD, Condition.MISSING, fix)
    yield card
    images = _images(home) if not card.state.is_bad else set()
    there = {path.name for path in (home / "images").glob("*") if path.is_file()}
    for name in sorted(images | there):
        digest = Path(name).stem
        if name in images or BY_CONTENT.fullmatch(digest):
            yield hashed(home, f"images/{name}", digest, fix)
    yield from _caches(home, (home / "cache").glob("*.safetensors"), CACHED)
    for path in sorted((home / "versions").glob("*.json")):
        yield document(home, f"versions/{path.name}", VERSION, is_dataset)


def of_network(home: Path) -> Iterator[Finding]:
    """An imported network: its card, and its weights by the hash in the card."""
    fix = f"Delete the folder models/{home.name} of the workspace and import the network again."
    card = document(home, NETWORK_CARD, fix)
    if not card.state.is_bad and home in damaged_networks(home.parent):
        card = Finding(NETWORK_CARD, Condition.DAMAGED, fix)
    yield card
    if not card.state.is_bad:
        yield hashed(home, WEIGHTS, str(listed(home / NETWORK_CARD).get("sha256", "")), fix)


def of_added(models: Path) -> Iterator[Finding]:
    """The facts of networks that were added by name, one sealed file each."""
    for path in added_files(models):
        found = document(models, path.name, ADD_AGAIN)
        yield found if found.state.is_bad or is_added(path) else Finding(path.name, Condition.DAMAGED, ADD_AGAIN)


def of_published(home: Path) -> Iterator[Finding]:
    """A published dataset: its unpacked files by their hashes, and the caches of decoded images."""
    if (home / UNPACKED).exists():
        yield document(home, UNPACKED, FETCH, has_hashes)
        for name, digest in sorted(listed(home / UNPACKED).items()):
            yield hashed(home, f"files/{name}", digest, FETCH)
    elif (home / "files").is_dir():
        yield Finding("files", Condition.UNSEALED)
    yield from _caches(home, home.glob("*.safetensors"), FETCH)


def _images(home: Path) -> set[str]:
    found = json.loads(read_sealed(home / CARD))
    return {str(image["file"]) for image in found["images"]}


def _caches(home: Path, paths: Iterator[Path], fix: str) -> Iterator[Finding]:
    for path in sorted(paths):
        whole = has_whole_content(path, sealed=True)
        yield Finding(path.relative_to(home).as_posix(), *((Condition.OK,) if whole else (Condition.DAMAGED, fix)))


def of_cache(folder: Path) -> Iterator[Finding]:
    """The caches: models, embeddings, graphs, evaluations, and downloaded weights."""
    return with_misplaced(folder, _of_cached(folder))


def _of_cached(folder: Path) -> Iterator[Finding]:
    for path in files(folder):
        relative = path.relative_to(folder).as_posix()
        named = HASH_IN_NAME.search(path.name)
        if path.suffix == ".kept":
            whole = has_whole_content(path)
            yield Finding(relative, *((Condition.OK,) if whole else (Condition.DAMAGED, CACHED)))
        elif path.name == "model.json":
            yield document(folder, relative, CACHED, has_hash)
            if not path.with_name("model.safetensors").exists():
                yield Finding(relative.removesuffix(".json") + ".safetensors", Condition.MISSING, CACHED)
        elif path.name == "model.safetensors":
            digest = listed(path.with_name("model.json")).get("sha256", "")
            yield hashed(folder, relative, digest, CACHED) if digest else Finding(relative, Condition.UNKNOWN)
        elif relative.startswith("weights/") and named:
            whole = file_hash(path).startswith(named[1])
            yield Finding(relative, *((Condition.OK,) if whole else (Condition.DAMAGED, FETCH)))
        elif path.suffix not in (".lock", ".part"):
            yield Finding(relative, Condition.UNKNOWN)
