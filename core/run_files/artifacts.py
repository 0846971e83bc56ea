"""The files a run saved, read only as they were measured: each is checked against the hash in the run's log."""

from __future__ import annotations

from hashlib import sha256

from core.errors import UserError
from core.runs import Run
from core.storage.sealed import file_hash

AGAIN = "Run the recipe again: steps whose models are cached are not trained again."


def read_artifact(run: Run, path: str) -> bytes:
    """The file at `path`, relative to the run's folder.

    Raises UserError `missing_artifact` if it is gone, `damaged_artifact` if it is not the file that was measured, or
    if the log has lost the hash by which that could be checked.
    """
    try:
        data = (run.folder / path).read_bytes()
    except OSError as error:
        raise _missing(path, AGAIN) from error
    _compare(path, sha256(data).hexdigest(), known_hash(run, path), AGAIN)
    return data


def refuse_damaged(run: Run, path: str, fix: str = AGAIN) -> None:
    """Raises the errors of `read_artifact`, without keeping the file in memory."""
    try:
        found = file_hash(run.folder / path)
    except OSError as error:
        raise _missing(path, fix) from error
    _compare(path, found, known_hash(run, path), fix)


def known_hash(run: Run, path: str) -> str:
    """The SHA-256 of the file when it was saved; empty for runs that recorded no hash for this kind of file. Raises
    UserError `damaged_artifact` if the log has lost it. Of a run that has ended its summary is asked first, which is
    read twenty times as fast as the log."""
    if found := next((saved.sha256 for saved in run.summary().files if saved.path == path), ""):
        return found
    state = run.state()
    found = next((saved.sha256 for saved in state.artifacts if saved.path == path), "")
    if not found and state.lost:
        given = f"{path}, whose hash is in a lost line of the log"
        raise UserError("damaged_artifact", "artifact", given, "a file with a known hash", AGAIN)
    return found


def _compare(path: str, found: str, known: str, fix: str) -> None:
    if known and found != known:
        given = f"{path}, sha256 {found[:12]}…"
        raise UserError("damaged_artifact", "artifact", given, f"the file as it was measured, {known[:12]}…", fix)


def _missing(path: str, fix: str) -> UserError:
    return UserError("missing_artifact", "artifact", path, "a file that is still there", fix)
