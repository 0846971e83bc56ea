"""The import of a run that another workspace sent, as a question. Everything in the zip is a stranger's: it is read by
the same reader as a dataset's, nothing is unpacked under a name that its log does not know, and every hash must hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from core.engine.data.imports.zip_reader import Archive, DamagedEntry, Entry
from core.engine.questions.import_data import Telling
from core.errors import UserError, UserErrors
from core.files import make_folder, replacing, safe_join
from core.jobs import Job
from core.questions.import_run import ImportedRun, ImportRunRequest
from core.recipe import stored_recipe
from core.run_files.parcel import ARTIFACT, FORMAT, MANIFEST, SMALL, Packed, Parcel
from core.runs import Run
from core.storage.sealed import DamagedError, unseal
from core.workspace import Workspace
from core.workspace_files.uploads import drop

MOST_OF_SMALL = 256 * 2**20  # bytes of a log; one of 10,000 epochs has 3 MB
AGAIN = "Have the run sent again: condenser send RUN --to zip FILE."


def answer(request: ImportRunRequest, job: Job) -> ImportedRun:
    """The run as it is here. Raises UserError where the zip is refused, CancelledError when asked to stop."""
    path, workspace = Path(request.path), Workspace(job.workspace)
    found = receive(path, workspace, Telling(job))
    drop(workspace, path)
    return found


def receive(path: Path, workspace: Workspace, telling: Telling) -> ImportedRun:
    """The run of the zip at `path`, taken into that workspace; raises as `answer`."""
    with _opened(path) as archive:
        entries = {entry.name: entry for entry in archive.entries}
        parcel = _parcel(archive, entries)
        with workspace.receive_run(parcel.run) as folder:
            for done, (name, packed) in enumerate(parcel.files.items()):
                telling("unpacking", done, len(parcel.files))
                _unpack(archive, entries[name], packed, folder)
            for part in ("checkpoints", "artifacts"):
                make_folder(folder / part)
            prove(Run(folder), parcel.files)
    summary = workspace.run(parcel.run).summary()
    size = sum(packed.bytes for packed in parcel.files.values())
    return ImportedRun(parcel.run, summary.name, len(summary.points), size)


def _opened(path: Path) -> Archive:
    """The zip; what is wrong with it is told as of a run's, not of a dataset's."""
    try:
        return Archive(path)
    except UserError as error:
        raise UserError(error.code, error.field, error.given, "a zip that Condenser sent", AGAIN) from None


def prove(run: Run, files: Mapping[str, Packed]) -> None:
    """Raises UserError unless the log is whole, over, and knows every artifact by the hash it has."""
    try:
        stored_recipe(run.recipe_text)
    except (OSError, ValueError) as error:
        told = error.errors[0] if isinstance(error, UserErrors) else error
        raise _refused(f"its recipe cannot be read: {told}", "a recipe") from None
    state = run.fold_whole()
    if state.seq < 0 or state.lost:
        raise _refused(f"{state.lost or 'all'} lines of its log are lost", "a whole log")
    if not state.status.is_over:
        raise _refused(f"its run is {state.status.value}", "a run that is over")
    known = {saved.path: saved.sha256 for saved in state.artifacts}
    sent = {name: packed.sha256 for name, packed in files.items() if name not in SMALL}
    if known != sent:
        odd = sorted(name for name in {*known, *sent} if known.get(name) != sent.get(name))
        raise _refused(f"{odd[0]} is not the file that its log tells of", "the files that were measured")


def _parcel(archive: Archive, entries: Mapping[str, Entry]) -> Parcel:
    """What the zip says of itself, held against what lies in it."""
    if MANIFEST not in entries:
        raise _refused(f"a zip without {MANIFEST}", "a run that Condenser sent")
    entry = entries[MANIFEST]
    if entry.size > MOST_OF_SMALL:
        raise _refused(f"{MANIFEST} of {entry.size:,} bytes", f"at most {MOST_OF_SMALL:,} bytes")
    try:
        opened = unseal(archive.read(entry))
    except (DamagedError, DamagedEntry) as error:
        raise _refused(f"{MANIFEST}: {error}", "as it was written") from error
    _refuse_newer(opened.body)
    try:
        parcel = Parcel.model_validate_json(opened.body)
    except ValueError as error:
        raise _refused(f"{MANIFEST} that is no list of a run's files", "as it was written") from error
    if not opened.sealed or parcel.format != FORMAT:
        raise _refused(f"{MANIFEST} of format {parcel.format}", f"format {FORMAT}, sealed")
    if {*parcel.files, MANIFEST} != set(entries):
        odd = sorted({*parcel.files, MANIFEST} ^ set(entries))
        raise _refused(f"{odd[0]} is only in the list, or only in the zip", "the files that are listed")
    for name in parcel.files:
        if name not in SMALL and not ARTIFACT.fullmatch(name):
            raise _refused(f"a file {name}", "a run's recipe, log, notes and artifacts")
    return parcel


def _refuse_newer(manifest: bytes) -> None:
    """Raises UserError `newer_parcel` for the format of a later version, whatever else its list may look like."""
    try:
        told = json.loads(manifest)
    except (ValueError, RecursionError):
        return
    number = told.get("format") if isinstance(told, dict) else None
    if isinstance(number, int) and number > FORMAT:
        given = f"{MANIFEST} of format {number}, of a later version of Condenser"
        fix = "Update Condenser here, then receive it again."
        raise UserError("newer_parcel", "path", given, f"format {FORMAT} or earlier", fix)


def _unpack(archive: Archive, entry: Entry, packed: Packed, folder: Path) -> None:
    """One file, under its own name inside of `folder`, if its size and hash are those that are listed."""
    if entry.skip or entry.size != packed.bytes or (entry.name in SMALL and entry.size > MOST_OF_SMALL):
        raise _refused(f"{entry.name} of {entry.size:,} bytes {entry.skip}".strip(), f"{packed.bytes:,} bytes")
    target = safe_join(folder, entry.name)
    make_folder(target.parent)
    with replacing(target) as temporary:
        try:
            found = archive.unpack(entry, temporary)
        except DamagedEntry as error:
            raise _refused(f"{entry.name}: {error}", "as it was packed") from error
        if found != packed.sha256:
            raise _refused(f"{entry.name}, sha256 {found[:12]}…", f"{packed.sha256[:12]}…")


def _refused(given: str, allowed: str) -> UserError:
    return UserError("bad_parcel", "path", given, allowed, AGAIN)
