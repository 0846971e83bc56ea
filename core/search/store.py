"""Searches as folders of a workspace: what was asked, where it stands, and who works on it.

searches/<id>/
search.json    what was asked, never changed       progress.json  its trials and what became of them
journal.log    Optuna's study                      cancel         a person's flag
confirmed.json the runs that repeat a trial with further seeds
driver.lock    held by the driver while it lives   driver.json    which process that is
log.txt        what the driver printed
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from core.classroom.learners import refuse_removed
from core.classroom.limits import refuse_run
from core.classroom.places import is_corner
from core.errors import UserError
from core.files import lock, make_folder, move, remove_file, remove_tree, safe_join, write_atomic
from core.search.specification import Specification
from core.search.trial import Progress
from core.storage.sealed import read_sealed, seal
from core.workspace import HALF_MADE, ID, QUEUE_LOCK, Workspace, new_id

FOLDER = "searches"
FIX = "`condenser searches` lists them."
PATIENCE = 10.0  # seconds
STOPPED = "stopped"  # the cause of a cancelled one


class Search:
    """The only way to a search's folder; cheap to make."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.log"
        self.lock = folder / "driver.lock"
        self.driver = folder / "driver.json"
        self.log = folder / "log.txt"

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def tag(self) -> str:
        """What its runs are tagged with."""
        return f"search {self.id[-6:]}"

    def specification(self) -> Specification:
        """What was asked; raises UserError `damaged_search`."""
        try:
            return Specification.model_validate_json(read_sealed(self.folder / "search.json"))
        except (OSError, ValueError) as error:
            given = f"search.json of {self.id}: {error}"
            fix = "Its runs are whole; ask for a new search."
            raise UserError("damaged_search", "search", given, "what was asked, as it was written", fix) from error

    def progress(self) -> Progress:
        """Where it stands; as if nothing was tried yet where that is not known: the driver writes it anew."""
        try:
            return Progress.model_validate_json(read_sealed(self.folder / "progress.json"))
        except (OSError, ValueError):
            return Progress()

    def changed(self) -> int:
        """When it was written last, in nanoseconds since 1970; 0 where it never was."""
        try:
            return (self.folder / "progress.json").stat().st_mtime_ns
        except OSError:
            return 0

    def write(self, progress: Progress) -> None:
        """Keeps where it stands."""
        write_atomic(self.folder / "progress.json", seal(progress.model_dump_json(exclude_defaults=True).encode()))

    def confirmed(self) -> dict[int, str]:
        """The runs that repeat a trial with further seeds, by the trial's number."""
        try:
            found: dict[str, str] = json.loads(read_sealed(self.folder / "confirmed.json"))
            return {int(number): str(run) for number, run in found.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def confirm(self, number: int, run_id: str) -> None:
        """Notes the run that repeats a trial."""
        known = {str(each): run for each, run in {**self.confirmed(), number: run_id}.items()}
        write_atomic(self.folder / "confirmed.json", seal(json.dumps(known).encode()))

    def cancel(self) -> None:
        """Asks the driver to stop; a search that nobody works on is cancelled at once."""
        if self.progress().is_over:
            return
        write_atomic(self.folder / "cancel", b"")
        with lock(self.lock, wait=False) as idle:
            if idle:
                self.write(self.progress().model_copy(update={"status": "cancelled", "cause": STOPPED}))

    def cancel_requested(self) -> bool:
        return (self.folder / "cancel").exists()

    def take_up(self) -> None:
        """Makes a cancelled or failed search one that goes on; raises UserError `search_is_over` where it is done."""
        with lock(self.lock, limit=PATIENCE) as idle:  # until the driver that stopped has gone
            now = self.progress()
            if idle and now.status in ("cancelled", "failed"):
                remove_file(self.folder / "cancel")
                status = "running" if now.trials else "checking"
                self.write(now.model_copy(update={"status": status, "cause": "", "error": None}))
        if now.status in ("finished", "refused"):
            fix = "Ask for a new search; what was tried before is taken from the cache."
            raise UserError("search_is_over", "search", self.id, "a search that is not done", fix)


def create(workspace: Workspace, specification: Specification) -> Search:
    """A new search, whole or not at all; nobody works on it yet. In a learner's corner, raises UserError `class_search`
    while another goes on there, `learner_removed`, and as `limits.refuse_run`."""
    if not is_corner(workspace.path):
        return _created(workspace, specification)
    with lock(workspace.path / QUEUE_LOCK):  # one page after the other
        refuse_removed(workspace.path)
        refuse_run(workspace.path)
        _refuse_second(workspace)
        return _created(workspace, specification)


def _created(workspace: Workspace, specification: Specification) -> Search:
    home = make_folder(workspace.path / FOLDER)
    new = new_id(after=search_ids(workspace))
    half = make_folder(home / (HALF_MADE + new))
    try:
        write_atomic(half / "search.json", seal(specification.model_dump_json().encode()))
        Search(half).write(Progress())
        move(half, home / new)
    except OSError:
        with suppress(OSError):
            remove_tree(half)
        raise
    return Search(home / new)


def _refuse_second(workspace: Workspace) -> None:
    going = next((one for one in searches(workspace) if not one.progress().is_over), None)
    if going is not None:
        fix = "Nothing was started. Wait for it to end, or cancel it."
        raise UserError("class_search", "search", "a second search", "one search at a time in a class", fix)


def find(workspace: Workspace, search_id: str) -> Search:
    """The search of that id; raises UserError `unknown_search`, whatever the id looks like."""
    if ID.fullmatch(search_id):
        folder = safe_join(workspace.path / FOLDER, search_id)
        if folder.is_dir() and not folder.is_symlink():
            return Search(folder)
    raise UserError("unknown_search", "search", search_id, "the id of a search in this workspace", FIX)


def search_ids(workspace: Workspace) -> list[str]:
    """The ids of all searches, oldest first."""
    with suppress(OSError):
        return sorted(path.name for path in (workspace.path / FOLDER).iterdir() if ID.fullmatch(path.name))
    return []


def searches(workspace: Workspace) -> list[Search]:
    """All searches, newest first."""
    return [Search(workspace.path / FOLDER / name) for name in reversed(search_ids(workspace))]


def document(search: Search) -> dict[str, object]:
    """A search as JSON: what was asked, and where it stands."""
    asked, now = search.specification(), search.progress()
    data: dict[str, object] = json.loads(asked.model_dump_json(exclude={"vary"}))
    told = {"search": search.id, "name": asked.name, **data, "vary": [vary.to_text() for vary in asked.vary]}
    return {**told, **json.loads(now.model_dump_json())}
