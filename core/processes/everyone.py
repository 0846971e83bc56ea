"""All whose runs and jobs one supervisor sees to: the workspace and the corners of a class in it, in fair turns.

Whoever was served last is looked at last, so that a learner with a hundred waiting runs gets one turn in a round like
everybody else. Within a corner the order is its own.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

from core.classroom.places import class_of, corners
from core.jobs import Job
from core.workspace import Workspace


class Turns:
    """Who is next: the owner that has waited longest since its last turn; those without one first."""

    def __init__(self) -> None:
        self._clock = count(1)
        self._last: dict[Path, int] = {}

    def order(self, owners: list[Workspace]) -> list[Workspace]:
        """The owners, the next first."""
        return sorted(owners, key=lambda one: self._last.get(one.path, 0))

    def took(self, owner: Path) -> None:
        """The workspace at that path has had a turn."""
        self._last[owner] = next(self._clock)


class Everyone:
    """The workspace at the root and all corners in it; read again only when somebody joined. Serves as the source of
    jobs: their ids are unique over all corners."""

    def __init__(self, root: Workspace) -> None:
        self.root = root
        self.runs = Turns()
        self._jobs = Turns()
        self._found: list[Workspace] = [root]
        self._read = -1

    def workspaces(self) -> list[Workspace]:
        """The root first, then the corners."""
        now = _changed(class_of(self.root.path))
        if now != self._read:
            known = {one.path: one for one in self._found}
            paths = corners(self.root.path)
            self._found = [self.root, *(known.get(path) or Workspace.open_to_serve(path) for path in paths)]
            self._read = now
        return self._found

    def job_ids(self) -> list[str]:
        """The ids of all jobs, those of the next owner first, and each owner's oldest first."""
        return [job_id for one in self._jobs.order(self.workspaces()) for job_id in one.job_ids()]

    def job(self, job_id: str) -> Job:
        """The job with that id, whoever asked; raises UserError `unknown_job`."""
        for one in self.workspaces()[1:]:
            if (one.path / "jobs" / job_id).is_dir():
                return one.job(job_id)
        return self.root.job(job_id)

    def job_began(self, job: Job) -> None:
        """That job was given to a worker: its owner has had a turn."""
        self._jobs.took(job.workspace)

    def of(self, run_id: str) -> Workspace:
        """Whose run that is; the root where nobody has it."""
        for one in self.workspaces():
            if (one.path / "runs" / run_id).is_dir():
                return one
        return self.root


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
