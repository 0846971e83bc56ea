"""A workspace is a folder with everything of one person: runs, jobs, datasets, caches, and the queue.

runs/<id>/  jobs/<id>/  datasets/  cache/  trash/  logs/
queue/<rank>.<id>   one empty file a waiting run; the lowest rank is next
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_data_dir
from pydantic import JsonValue

from core.errors import UserError
from core.files import make_folder, move, remove_file, remove_tree, safe_join, touch, write_atomic
from core.jobs import Job
from core.runs import Run, RunSummary
from core.sealed import seal

__all__ = ["Job", "Workspace"]

ID = re.compile(r"[0-9a-f]{13}-[0-9a-f]{6}")
FOLDERS = ("runs", "jobs", "datasets", "cache", "queue", "trash", "logs")
HALF_MADE = ".new-"
KEEP_JOBS = 24 * 3600.0  # seconds
KEEP_TRASH = 7 * 24 * 3600.0


class Workspace:
    """Creates, lists, queues and deletes runs and jobs. Ids are opaque; only here do they become paths."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.datasets = self.path / "datasets"
        self.cache = self.path / "cache"
        self.logs = self.path / "logs"

    @classmethod
    def named(cls, path: Path | None = None) -> Workspace:
        """The workspace at `path`, else at CONDENSER_WORKSPACE, else in the platform's folder for user data; it may
        not be there yet."""
        path = path or Path(os.environ.get("CONDENSER_WORKSPACE") or user_data_dir("condenser", appauthor=False))
        return cls(path.expanduser())

    @classmethod
    def open_or_create(cls, path: Path | None = None) -> Workspace:
        """The workspace `named`, with its folders made.

        Raises UserError `workspace_is_file` or `workspace_not_writable`, and then has written nothing.
        """
        workspace = cls.named(path)
        path = workspace.path
        above = next((p for p in (workspace.path, *workspace.path.parents) if p.exists() or p.is_symlink()), None)
        if above is None or not above.is_dir():
            raise _unusable("workspace_is_file", path, "a folder, or a path where one can be made")
        if not os.access(above, os.W_OK | os.X_OK):
            raise _unusable("workspace_not_writable", path, "a folder that you may write to")
        try:
            for name in FOLDERS:
                make_folder(workspace.path / name)
        except OSError as error:
            reason = f"a folder that can be written to ({error.strerror})"
            raise _unusable("workspace_not_writable", path, reason) from error
        return workspace

    # runs

    def create_run(self, recipe_text: str, name: str = "") -> Run:
        """A new run of a recipe already checked; whole or not at all. `name` replaces the recipe's in the lists."""
        run_id = new_id()
        half = Run(make_folder(self.path / "runs" / (HALF_MADE + run_id)))
        write_atomic(half.folder / "recipe.toml", recipe_text.encode())
        for folder in (half.checkpoints, half.artifacts):
            make_folder(folder)
        if name and name != half.headline().name:
            half.annotate(half.notes().model_copy(update={"name": name}))
        half.requeue()
        move(half.folder, self.path / "runs" / run_id)
        return self.run(run_id)

    def run(self, run_id: str) -> Run:
        """The run of that id; raises UserError `unknown_run`, whatever the id looks like."""
        return Run(self._find("runs", run_id, "unknown_run", "run"))

    def run_ids(self) -> list[str]:
        """The ids of all runs, oldest first."""
        return sorted(_ids(self.path / "runs"))

    def runs(self) -> list[RunSummary]:
        """All runs as rows, newest first; those that are over come from their result.json."""
        summaries = (Run(self.path / "runs" / run_id).summary() for run_id in reversed(self.run_ids()))
        return [s for s in summaries if s.status.is_over or (self.path / "runs" / s.id).is_dir()]  # deleted meanwhile

    def delete(self, run_id: str) -> None:
        """Moves a run to the trash, from where `restore` brings it back; raises UserError `run_is_running`."""
        run = self.run(run_id)
        with run.hold() as idle:
            if not idle:
                raise UserError("run_is_running", "run", run_id, "a run that is not running", "Cancel it first.")
            self.unqueue(run_id)
            target = self.path / "trash" / run_id
            remove_tree(target)
            move(run.folder, target)
        touch(target)  # the trash is emptied by age

    def restore(self, run_id: str) -> Run:
        """Undoes `delete`; a run that was waiting is not queued again."""
        move(self._find("trash", run_id, "unknown_run", "run"), self.path / "runs" / run_id)
        return self.run(run_id)

    # the queue

    def submit(self, recipe_text: str, name: str = "") -> Run:
        """Creates a run and queues it."""
        run = self.create_run(recipe_text, name)
        self.queue(run)
        return run

    def queue(self, run: Run, *, front: bool = False) -> None:
        """Puts a run at the end of the queue, or at its front; once only."""
        entries = self._queue()
        if run.id in [run_id for _, run_id in entries]:
            return
        rank = time.time_ns()
        if entries:
            rank = entries[0][0] - 1_000_000 if front else max(rank, entries[-1][0] + 1_000_000)
        write_atomic(self._entry(rank, run.id), b"")

    def queued(self) -> list[str]:
        """The ids of the waiting runs, the next one first."""
        return [run_id for _, run_id in self._queue()]

    def unqueue(self, run_id: str) -> None:
        """Takes a run out of the queue, if it is there."""
        for rank, waiting in self._queue():
            if waiting == run_id:
                remove_file(self._entry(rank, run_id))

    def reorder(self, run_id: str, position: int) -> None:
        """Moves a waiting run to `position`, 0 being the next; raises UserError `not_queued`."""
        entries = self._queue()
        mine = next((entry for entry in entries if entry[1] == run_id), None)
        if mine is None:
            raise UserError("not_queued", "run", run_id, "a run that is waiting", "It has begun, or is over.")
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
        """Cancels a run, waiting or running."""
        run = self.run(run_id)
        run.cancel()
        if run.state().status.is_over:
            self.unqueue(run_id)

    def resume(self, run_id: str) -> Run:
        """Queues a run again that was paused, cancelled, interrupted or failed; raises UserError if it cannot be."""
        run = self.run(run_id)
        run.requeue()
        self.queue(run)
        return run

    def _queue(self) -> list[tuple[int, str]]:
        found = (name.partition(".") for name in os.listdir(self.path / "queue"))
        return sorted((int(rank), run_id) for rank, _, run_id in found if rank.isdigit() and ID.fullmatch(run_id))

    def _entry(self, rank: int, run_id: str) -> Path:
        return self.path / "queue" / f"{rank:020d}.{run_id}"

    # jobs

    def create_job(self, kind: str, request: dict[str, JsonValue]) -> Job:
        """A question to the engine; the supervisor gives it to a worker at once."""
        job_id = new_id()
        half = make_folder(self.path / "jobs" / (HALF_MADE + job_id))
        document = seal(json.dumps({"kind": kind, "request": request}, allow_nan=False).encode())
        write_atomic(half / "request.json", document)
        move(half, self.path / "jobs" / job_id)
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        """The job of that id; raises UserError `unknown_job`."""
        return Job(self._find("jobs", job_id, "unknown_job", "job"))

    def job_ids(self) -> list[str]:
        """The ids of all jobs, oldest first."""
        return sorted(_ids(self.path / "jobs"))

    # housekeeping

    def tidy(self) -> None:
        """Deletes for good what nobody will miss: old answers, old trash, what a crash left half made, old logs."""
        for folder, keep in (("jobs", KEEP_JOBS), ("trash", KEEP_TRASH), ("logs", KEEP_JOBS)):
            for path in (self.path / folder).iterdir():
                _forget(path, keep)
        for folder in ("runs", "jobs"):
            for path in (self.path / folder).glob(HALF_MADE + "*"):
                _forget(path, 3600.0)

    def _find(self, folder: str, given: str, code: str, noun: str) -> Path:
        if ID.fullmatch(given):
            path = safe_join(self.path / folder, given)
            if path.is_dir():
                return path
        raise UserError(code, noun, given, f"the id of a {noun} in this workspace", f"List the {noun}s to see them.")


def new_id() -> str:
    """Microseconds since 1970 and 24 random bits in hexadecimal: sorts by time, fits in a URL, says nothing."""
    return f"{time.time_ns() // 1000:013x}-{secrets.token_hex(3)}"


def _ids(folder: Path) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:  # a workspace that is only just being made
        return iter(())
    return (name for name in names if ID.fullmatch(name))


def _forget(path: Path, keep: float) -> None:
    if time.time() - path.stat().st_mtime > keep:
        remove_tree(path) if path.is_dir() else remove_file(path)


def _unusable(code: str, path: Path, allowed: str) -> UserError:
    return UserError(code, "workspace", str(path), allowed, "Name another folder with --workspace.")
