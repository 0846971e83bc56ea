"""A workspace is a folder with all data of one person: runs, jobs, datasets, networks, caches, and the queue.

runs/<id>/  jobs/<id>/  datasets/  models/  cache/  trash/  logs/  drafts/  searches/<id>/  lessons/
queue/<rank>.<id>   one empty file per waiting run; the lowest rank is next
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from platformdirs import user_data_dir
from pydantic import JsonValue

from core.catalog import Catalog, load_catalog
from core.classroom.learners import Class, refuse_removed
from core.classroom.lent import is_lent
from core.classroom.limits import refuse_disk, refuse_run
from core.classroom.places import corners, is_corner
from core.errors import UserError
from core.files import (
    FULL,
    close_to_others,
    lock,
    make_folder,
    move,
    remove_file,
    remove_tree,
    safe_join,
    touch,
    write_atomic,
)
from core.jobs import Job
from core.own.added_backbones import added
from core.own.datasets import imported_datasets
from core.own.models import PREFIX, bare_name, catalog_entries, network_home, remove_network
from core.questions.request import Request
from core.run_files.ledger import Ledger
from core.runs import Run, RunSummary
from core.state import Status
from core.storage.disk import disk_error
from core.storage.sealed import seal
from core.summary import Line

__all__ = ["Job", "Workspace"]

ID = re.compile(r"[0-9a-f]{13}-[0-9a-f]{6}")
FOLDERS = ("runs", "jobs", "datasets", "models", "cache", "queue", "trash", "logs")
LATER = ("drafts", "searches", "lessons", "class")  # made when they are first needed
LINES = " ".join(("1", *Line._fields))  # the fields of a line in the kept list
HALF_MADE = ".new-"
QUEUE_LOCK = "queue.lock"  # of a learner's corner: held while its limits are looked at and something is begun
KEEP_JOBS = 24 * 3600.0  # seconds
KEEP_TRASH = 7 * 24 * 3600.0
KEEP_HALF = 3600.0
TRIAL = re.compile(r"search [0-9a-f]{6}")  # the tag of a search's runs
GAP = 1_000_000  # between the ranks of two runs in the queue, in nanoseconds
RANK = re.compile(r"[0-9]{1,24}")
LAST_MOMENT = 16**13 - 1  # microseconds since 1970, the most that fits into an id: in the year 2112


class Workspace:
    """Creates, lists, queues and deletes runs and jobs. Ids are opaque; only this class turns them into paths."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.datasets = self.path / "datasets"
        self.models = self.path / "models"
        self.cache = self.path / "cache"
        self.logs = self.path / "logs"

    @classmethod
    def named(cls, path: Path | None = None) -> Workspace:
        """The workspace at `path`, otherwise at CONDENSER_WORKSPACE, otherwise in the platform's folder for user data;
        it need not exist yet."""
        path = path or Path(os.environ.get("CONDENSER_WORKSPACE") or user_data_dir("condenser", appauthor=False))
        return cls(path.expanduser())

    @classmethod
    def open_or_create(cls, path: Path | None = None) -> Workspace:
        """The workspace of `named`, with its folders created.

        Raises UserError `workspace_is_file` or `workspace_not_writable`, and then has written nothing.
        """
        workspace = cls.named(path)
        path = workspace.path
        above = next((p for p in (path, *path.parents) if _reachable(p)), None)
        if above is None or not above.is_dir():
            raise _unusable("workspace_is_file", path, "a folder, or a path where one can be made")
        if not os.access(above, os.W_OK | os.X_OK):
            raise _unusable("workspace_not_writable", path, "a folder that you may write to")
        strange = workspace.path.is_dir() and any(map(_foreign, _names(workspace.path)))
        for name in FOLDERS:
            workspace._make(name)
        if not strange:  # a folder with other files of the person keeps its permissions
            close_to_others(workspace.path)
        return workspace

    @classmethod
    def open_to_read(cls, path: Path | None = None) -> Workspace:
        """The workspace of `named`, with nothing created: it may be read-only, or not exist and so have no runs.

        Raises UserError `workspace_is_file` or `workspace_not_readable`.
        """
        workspace = cls.named(path)
        if _reachable(workspace.path) and not workspace.path.is_dir():
            raise _unusable("workspace_is_file", workspace.path, "a folder, or a path where one can be made")
        if workspace.path.is_dir() and not os.access(workspace.path, os.R_OK | os.X_OK):
            raise _unusable("workspace_not_readable", workspace.path, "a folder that you may read")
        return workspace

    @classmethod
    def open_to_serve(cls, path: Path) -> Workspace:
        """The workspace, with its folders created as far as possible; a broken folder is reported when it is needed."""
        workspace = cls.named(path)
        for name in FOLDERS:
            with suppress(UserError):
                workspace._make(name)
        return workspace

    def catalog(self) -> Catalog:
        """Everything that can be chosen here: what comes with the program, and what was imported into this
        workspace."""
        shipped = load_catalog()
        more = added(self.models)
        networks = catalog_entries(self.models, {**more, **shipped.backbones})
        return shipped.with_datasets(imported_datasets(self.datasets)).with_backbones({**networks, **more})

    def _make(self, name: str) -> None:
        folder = self.path / name
        try:
            close_to_others(make_folder(folder))
        except OSError as error:
            raise _not_made(self.path, folder, error) from error

    # runs

    def create_run(
        self, recipe_text: str, name: str = "", *, run_id: str = "", tags: tuple[str, ...] = (), parent: str = ""
    ) -> Run:
        """A new run of a recipe that was already checked, created atomically. `name` replaces the recipe's in lists;
        `run_id` is an id decided before, as `new_id` makes them; `parent` is the run whose variant it is."""
        run_id = run_id or new_id(after=self.run_ids())
        with self._half_made("runs", run_id) as folder:
            half = Run(folder)
            write_atomic(folder / "recipe.toml", recipe_text.encode())
            for part in (half.checkpoints, half.artifacts):
                make_folder(part)
            other = name if name != half.headline().name else ""
            if other or tags:
                half.annotate(half.notes().model_copy(update={"name": other, "tags": tags}))
            half.requeue(parent)
        return self.run(run_id)

    @contextmanager
    def _half_made(self, kind: str, new: str) -> Iterator[Path]:
        """A folder to fill, moved to its place if the block succeeds; removed at once if the disk fails."""
        half, whole = self.path / kind / (HALF_MADE + new), self.path / kind / new
        try:
            yield make_folder(half)
            move(half, whole)
        except OSError:
            for folder in (half, whole):  # it may have been moved before the flush failed
                with suppress(OSError):
                    remove_tree(folder)
            raise

    @contextmanager
    def receive_run(self, run_id: str) -> Iterator[Path]:
        """A folder to fill with a run that another workspace made, in its place when the block ends well, else gone.

        Raises UserError `bad_parcel` where that is no id, `run_is_here` where there is such a run already.
        """
        if not ID.fullmatch(run_id):
            raise UserError("bad_parcel", "run", run_id, "the id of a run", "Have the run sent again.")
        for place in ("runs", "trash"):
            if (self.path / place / run_id).exists():
                fix = "It is listed by `condenser runs`." if place == "runs" else "Restore it on Trade-offs."
                raise UserError("run_is_here", "run", run_id, "a run that is not in this workspace", fix)
        half = self.path / "runs" / (HALF_MADE + run_id)
        try:
            with self._half_made("runs", run_id) as folder:
                yield folder
        except BaseException:
            with suppress(OSError):
                remove_tree(half)
            raise

    def run(self, run_id: str) -> Run:
        """The run with that id; raises UserError `unknown_run` for any other text."""
        return Run(self._find("runs", run_id, "unknown_run", "run"))

    def run_ids(self) -> list[str]:
        """The ids of all runs, oldest first."""
        return _ids(self.path / "runs")

    def runs(self) -> list[RunSummary]:
        """All runs as rows, newest first; ended runs are read from their result.json."""
        summaries = (Run(self.path / "runs" / run_id).summary() for run_id in reversed(self.run_ids()))
        return [s for s in summaries if s.status.is_over or (self.path / "runs" / s.id).is_dir()]  # not deleted since

    def lines(self) -> Iterator[Line]:
        """All runs as lines of a list, newest first; ended runs are read once and then kept in the cache."""
        path = self.cache / "lists" / "lines.kept"
        ledger = Ledger(self.path / "runs", path, LINES, lambda run: run.summary().line())
        return (Line(*found) for _, found in ledger.of(self.run_ids()[::-1]))

    def delete(self, run_id: str) -> None:
        """Moves a run to the trash, from which `restore` returns it; raises UserError `run_is_running`."""
        run = self.run(run_id)
        with run.hold() as idle:
            if not idle:
                raise UserError("run_is_running", "run", run_id, "a run that is not running", "Cancel it first.")
            self.unqueue(run_id)
            target = make_folder(self.path / "trash") / run_id
            remove_tree(target)
            move(run.folder, target)
        touch(target)  # the trash is emptied by age

    def restore(self, run_id: str) -> Run:
        """Undoes `delete`; a run that was waiting is not queued again."""
        move(self._find("trash", run_id, "unknown_run", "run"), self.path / "runs" / run_id)
        return self.run(run_id)

    # the queue

    def submit(
        self, recipe_text: str, name: str = "", *, run_id: str = "", tags: tuple[str, ...] = (), parent: str = ""
    ) -> Run:
        """Creates a run and queues it; in a learner's corner, raises UserError as `limits.refuse_run`, and
        `learner_removed`."""
        with self._within_limits():
            run = self.create_run(recipe_text, name, run_id=run_id, tags=tags, parent=parent)
            try:
                self.queue(run)
            except OSError:
                with suppress(OSError):  # a refused run leaves no trace
                    self.unqueue(run.id)
                    remove_tree(run.folder)
                raise
        return run

    @contextmanager
    def _within_limits(self) -> Iterator[None]:
        """In a learner's corner, the block queues a run that its limits allow, one page after the other."""
        if not is_corner(self.path):
            yield
            return
        with lock(self.path / QUEUE_LOCK):
            refuse_removed(self.path)
            refuse_run(self.path)
            yield

    def queue(self, run: Run, *, front: bool = False) -> None:
        """Puts a run at the end of the queue, or at its front, unless it is already in it. A person's run goes before
        the trials of searches that wait behind the last run of a person."""
        entries = self._queue()
        if run.id in [run_id for _, run_id in entries]:
            return
        rank = time.time_ns()
        if entries and front:
            rank = entries[0][0] - GAP
        elif entries:
            rank = max(rank, entries[-1][0] + GAP)
            overtaken = [] if is_trial(run) else self._trials_at_the_end(entries)
            for place, (old, trial) in reversed(list(enumerate(overtaken, 1))):
                with suppress(FileNotFoundError):  # it has begun meanwhile
                    move(self._entry(old, trial), self._entry(rank + place * GAP, trial))
        make_folder(self.path / "queue")
        write_atomic(self._entry(rank, run.id), b"")

    def _trials_at_the_end(self, entries: list[tuple[int, str]]) -> list[tuple[int, str]]:
        behind = takewhile(lambda entry: is_trial(Run(self.path / "runs" / entry[1])), reversed(entries))
        return list(behind)[::-1]

    def queued(self) -> list[str]:
        """The ids of the waiting runs, the next first."""
        return [run_id for _, run_id in self._queue()]

    def unqueue(self, run_id: str) -> None:
        """Removes a run from the queue, if it is in it."""
        for rank, waiting in self._queue():
            if waiting == run_id:
                remove_file(self._entry(rank, run_id))

    def reorder(self, run_id: str, position: int) -> None:
        """Moves a waiting run to `position` in the queue, from 0; raises UserError `not_queued`."""
        entries = self._queue()
        mine = next((entry for entry in entries if entry[1] == run_id), None)
        if mine is None:
            raise UserError("not_queued", "run", run_id, "a waiting run", "It has begun or ended meanwhile.")
        others = [entry for entry in entries if entry != mine]
        others.insert(max(0, min(position, len(others))), mine)
        now = time.time_ns()
        ranks = sorted(rank for rank, _ in entries)
        if len(set(ranks)) < len(ranks):
            ranks = [now + 1_000_000 * place for place in range(len(ranks))]
        for (old, waiting), rank in zip(others, ranks, strict=True):
            if old != rank:
                move(self._entry(old, waiting), self._entry(rank, waiting))

    def cancel(self, run_id: str) -> None:
        """Cancels a waiting or running run."""
        run = self.run(run_id)
        run.cancel()
        if run.state().status.is_over:
            self.unqueue(run_id)

    def resume(self, run_id: str) -> Run:
        """Queues a paused, cancelled, interrupted or failed run again; raises UserError for any other, and in a
        learner's corner as `submit`."""
        run = self.run(run_id)
        with self._within_limits():
            run.requeue()
            self.queue(run)
        return run

    def _queue(self) -> list[tuple[int, str]]:
        found = (name.partition(".") for name in _names(self.path / "queue"))
        return sorted((int(rank), run_id) for rank, _, run_id in found if RANK.fullmatch(rank) and ID.fullmatch(run_id))

    def _entry(self, rank: int, run_id: str) -> Path:
        return self.path / "queue" / f"{rank:020d}.{run_id}"

    # jobs

    def ask(self, request: Request[Any]) -> Job:
        """Creates a job for a request; the supervisor gives it to a worker at once.

        In a learner's corner, raises UserError `path_not_yours` for a file that was not uploaded there, and
        `class_disk`.
        """
        if is_corner(self.path):
            self._refuse_of_learner(request)
        return self.create_job(request.kind, request.to_document())

    def _refuse_of_learner(self, request: Request[Any]) -> None:
        """A learner sits at another machine: no file of this one is theirs but what they uploaded."""
        refuse_disk(self.path)
        paths = ["hand-ins of others"] if request.kind == "collect" else list(_paths(request.to_document()))
        for path in paths:
            if Path(path).resolve().parent.parent != (self.path / "jobs").resolve():
                fix = "Upload it instead: the files of this machine belong to your teacher."
                raise UserError("path_not_yours", "path", path, "a file that you uploaded", fix)

    def create_job(self, kind: str, request: dict[str, JsonValue]) -> Job:
        """Creates a job from a stored request; see `ask`."""
        document = seal(json.dumps({"kind": kind, "request": request}, allow_nan=False).encode())
        job_id = new_id(after=self.job_ids())
        with self._half_made("jobs", job_id) as half:
            write_atomic(half / "request.json", document)
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        """The job with that id; raises UserError `unknown_job`."""
        return Job(self._find("jobs", job_id, "unknown_job", "job"))

    def job_ids(self) -> list[str]:
        """The ids of all jobs, oldest first."""
        return _ids(self.path / "jobs")

    # imported networks

    def remove_network(self, name: str) -> str:
        """Moves an imported network to the trash and returns its name; raises UserError `unknown_network`, or
        `network_in_use` while a waiting or running run needs it, also one of a learner to whom it is lent."""
        called = re.compile(re.escape(PREFIX + bare_name(name)) + r"\s*[\",']")
        home = network_home(name, self.models).name
        lent = (Workspace(one) for one in corners(self.path) if is_lent(one / "models" / home))
        going = (
            (store, line.id) for store in (self, *lent) for line in store.lines() if not Status(line.status).is_over
        )
        users = [run_id for store, run_id in going if called.search(store.run(run_id).recipe_text)]
        if users:
            fix = f"Wait for the run to end, or cancel it: condenser cancel {users[0]}."
            raise UserError("network_in_use", "model", name, "a network that no waiting or running run needs", fix)
        return remove_network(name, self.models, self.path / "trash")

    # housekeeping

    def tidy(self, now: float | None = None) -> None:
        """Permanently deletes old answers, old trash, old logs, and folders that a crash left half made.

        `now` is in seconds since 1970, by default the current time. What cannot be deleted is left for the next time.
        """
        now = time.time() if now is None else now
        for folder, keep in (("jobs", KEEP_JOBS), ("trash", KEEP_TRASH), ("logs", KEEP_JOBS)):
            for name in _names(self.path / folder):
                _forget(self.path / folder / name, keep, now)
        for folder in ("runs", "jobs"):
            for name in _names(self.path / folder):
                if name.startswith(HALF_MADE):
                    _forget(self.path / folder / name, KEEP_HALF, now)
        with suppress(OSError):
            Class(self.path).forget_removed(now - KEEP_TRASH)

    def _find(self, folder: str, given: str, code: str, noun: str) -> Path:
        if ID.fullmatch(given) and not (self.path / folder / given).is_symlink():
            path = safe_join(self.path / folder, given)
            if os.path.isdir(path):
                return path
        raise UserError(code, noun, given, f"the id of a {noun} in this workspace", f"List the {noun}s to see them.")


def _paths(document: JsonValue) -> Iterator[str]:
    """Every path in a stored request, however deep."""
    if isinstance(document, dict):
        yield from (str(value) for key, value in document.items() if key == "path" and value is not None)
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from _paths(part)


def is_trial(run: Run) -> bool:
    """Whether a search began the run, by its tag."""
    return any(TRIAL.fullmatch(tag) for tag in run.notes().tags)


def new_id(after: Sequence[str] = ()) -> str:
    """Microseconds since 1970 and 24 random bits in hexadecimal: sorts by time, fits in a URL, reveals nothing else.

    It sorts after the ids `after` (the newest last), even if the clock was ahead when they were made.
    """
    newest = int(after[-1].partition("-")[0], 16) if after else 0
    return f"{min(max(time.time_ns() // 1000, newest + 1), LAST_MOMENT):013x}-{secrets.token_hex(3)}"


def _ids(folder: Path) -> list[str]:
    """The folders whose names are ids, in order; links and files are ignored."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if ID.fullmatch(entry.name) and _is_folder(entry))
    except OSError:  # the folder is missing, is no folder, or cannot be read
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _names(folder: Path) -> list[str]:
    """The names in a folder; none if it is missing, is no folder, or cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _forget(path: Path, keep: float, now: float) -> None:
    with suppress(OSError):
        if now - path.lstat().st_mtime > keep:
            remove_tree(path) if path.is_dir() else remove_file(path)


def _not_made(workspace: Path, folder: Path, error: OSError) -> UserError:
    full = disk_error(error)
    if error.errno in FULL and full is not None:
        return full
    if folder.is_symlink() or folder.exists():
        return UserError(
            "workspace_damaged",
            "workspace",
            str(folder),
            "a folder there, or nothing",
            f"It is a link to {os.readlink(folder)}, which is missing: restore that folder, or remove the link."
            if folder.is_symlink()
            else "Another file is in its place: move it away.",
        )
    return _unusable("workspace_not_writable", workspace, f"a folder that can be written to ({error.strerror})")


def _reachable(path: Path) -> bool:
    """Whether the path exists, if only as a dangling link; raises UserError `workspace_path` on an invalid name."""
    try:
        return path.exists() or path.is_symlink()
    except OSError as error:
        raise _unusable("workspace_path", path, f"the path of a folder ({error.strerror})") from error


def _foreign(name: str) -> bool:
    """Whether a name does not belong to a workspace."""
    return name not in (*FOLDERS, *LATER) and not name.startswith((".", "supervisor", "dashboard"))


def _unusable(code: str, path: Path, allowed: str) -> UserError:
    return UserError(code, "workspace", str(path), allowed, "Choose another folder with --workspace.")
