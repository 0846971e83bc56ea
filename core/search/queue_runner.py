"""Trials as ordinary runs: queued like a person's, worked on by the supervisor's workers, their outcome read from
their events."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from core.errors import UserError
from core.processes.workers import WORKER, ensure_supervisor, supervisor
from core.recipe import Recipe
from core.runs import Run
from core.search.store import Search
from core.search.trial import StatusName, Trial, outcome
from core.state import Status
from core.workspace import Workspace, new_id

POLL = 0.2  # seconds between two looks at the events of a run
CHECK = 3.0  # seconds between two looks whether somebody works the queue
DELETED = "Its run was deleted."


class QueueRunner:
    """Has the trials of one search run through the workspace's queue, one after the other. `is_ending` says whether
    the process is to end."""

    def __init__(
        self, workspace: Workspace, search: Search, is_ending: Callable[[], bool], worker: tuple[str, ...] = WORKER
    ) -> None:
        self.workspace = workspace
        self.search = search
        self.worker = worker
        self._is_ending = is_ending
        self._began = time.monotonic()
        self._check_after = 0.0

    def new_run(self) -> str:
        return new_id(after=self.workspace.run_ids())

    def spent(self) -> float:
        return time.monotonic() - self._began

    def stopped(self) -> StatusName | None:
        if self.search.cancel_requested():
            return "cancelled"
        return "resting" if self._is_ending() else None

    def result(self, trial: Trial, recipe: Recipe) -> Trial | None:
        """Begins the run unless it is there, and waits for its end. A cancelled search cancels it; one whose process
        ends leaves it to go on."""
        run = self._begun(trial, recipe)
        while run is not None and not self._is_over(run):
            if self.stopped() == "cancelled":
                self.workspace.cancel(run.id)
                return None
            if self.stopped() is not None:
                return None
            self._see_to_supervisor()
            time.sleep(POLL)
        if run is None or not run.folder.is_dir():
            return trial.model_copy(update={"state": "failed", "why": DELETED})
        return outcome(trial, run.summary())

    def _begun(self, trial: Trial, recipe: Recipe) -> Run | None:
        """The run of that trial; None where a person deleted it."""
        if (self.workspace.path / "trash" / trial.run).is_dir():
            return None
        try:
            run = self.workspace.run(trial.run)
        except UserError:
            called = replace(recipe, name=f"{recipe.name} · {trial.number + 1}")
            return self.workspace.submit(called.to_toml(), run_id=trial.run, tags=(self.search.tag,))
        state = run.state()
        never_begun = state.status is Status.INTERRUPTED and state.cause_code == "never_begun"
        if never_begun or (state.status is Status.CANCELLED and not self._was_tried(trial)):
            return self.workspace.resume(run.id)
        if state.status is Status.QUEUED and not run.worker.exists():  # we were killed before queueing it
            self.workspace.queue(run)
        return run

    def _was_tried(self, trial: Trial) -> bool:
        """Whether it was over before the search was taken up again: cancelled with the search, it is not."""
        known = {each.number: each for each in self.search.progress().trials}
        return trial.number in known and known[trial.number].state != "running"

    def _is_over(self, run: Run) -> bool:
        return not run.folder.is_dir() or run.state().status.is_over

    def _see_to_supervisor(self) -> None:
        if time.monotonic() >= self._check_after:
            self._check_after = time.monotonic() + CHECK
            if supervisor(self.workspace) is None:
                ensure_supervisor(self.workspace, worker=self.worker)
