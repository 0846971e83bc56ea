"""Trials as ordinary runs: queued like a person's, worked on by the supervisor's workers, their outcome read from
their events."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.errors import UserError
from core.events import Warned
from core.processes.workers import WORKER, ensure_supervisor, supervisor
from core.recipe import Recipe
from core.runs import Run
from core.search.pruning import CUT, Curve, Pruner, curve, reason, was_cut
from core.search.store import Search
from core.search.trial import StatusName, Trial, outcome
from core.state import Status
from core.workspace import Workspace, new_id

POLL = 0.2  # seconds between two looks at the events of a run
CHECK = 3.0  # seconds between two looks whether somebody works the queue
DELETED = "Its run was deleted."


@dataclass(frozen=True)
class Watch:
    """How trials are cut: the pruner, the step that is watched, and who says whether a run is behind."""

    pruner: Pruner
    step: int
    is_behind: Callable[[str, Curve], bool]


class QueueRunner:
    """Has the trials of one search run through the workspace's queue. `is_ending` says whether the process is to end,
    `watch` whether a run is not worth its further epochs."""

    def __init__(
        self,
        workspace: Workspace,
        search: Search,
        is_ending: Callable[[], bool],
        worker: tuple[str, ...] = WORKER,
        watch: Watch | None = None,
    ) -> None:
        self.workspace = workspace
        self.search = search
        self.worker = worker
        self.watch = watch
        self._is_ending = is_ending
        self._began = time.monotonic()
        self._check_after = 0.0
        self._runs: dict[str, Run | None] = {}
        self._looked: dict[str, int] = {}  # epochs of each run's curve that were looked at

    def new_run(self) -> str:
        return new_id(after=self.workspace.run_ids())

    def spent(self) -> float:
        return time.monotonic() - self._began

    def stopped(self) -> StatusName | None:
        if self.search.cancel_requested():
            return "cancelled"
        return "resting" if self._is_ending() else None

    def results(self, going: Sequence[tuple[Trial, Recipe]]) -> Sequence[Trial] | None:
        """Begins the runs that are not there, and waits until one is over. A cancelled search cancels them; one whose
        process ends leaves them to go on."""
        for trial, recipe in going:
            if trial.run not in self._runs:
                self._runs[trial.run] = self._begun(trial, recipe)
        while True:
            over = {trial.run for trial, _ in going if self._is_over(self._runs[trial.run])}
            for trial, recipe in going:
                self._cut_if_behind(self._runs[trial.run], recipe)
            if over:
                return [self._outcome(trial) for trial, _ in going if trial.run in over]
            if self.stopped() == "cancelled":
                for trial, _ in going:
                    self.workspace.cancel(trial.run)
            if self.stopped() is not None:
                return None
            self._see_to_supervisor()
            time.sleep(POLL)

    def _outcome(self, trial: Trial) -> Trial:
        run = self._runs[trial.run]
        if run is None or not run.folder.is_dir():
            return trial.model_copy(update={"state": "failed", "why": DELETED})
        if why := was_cut(run.state()):
            return trial.model_copy(update={"state": "cut", "why": why, "seconds": run.summary().lasted})
        return outcome(trial, run.summary())

    def _cut_if_behind(self, run: Run | None, recipe: Recipe) -> None:
        """Cancels a run that the pruner would not see through, and says so in its log. Of one that is over the pruner
        learns the whole curve, which later trials are held against."""
        if self.watch is None or run is None or run.cancel_requested():
            return
        state = run.state()
        found = curve(state, self.watch.step, recipe.seed)
        if len(found) <= self._looked.get(run.id, 0):
            return
        self._looked[run.id] = len(found)
        if self.watch.is_behind(run.id, found) and not state.status.is_over:
            if not any(warned.code == CUT for warned in state.warnings):  # else we were killed before the next line
                run.emit(Warned(self.watch.step, CUT, reason(self.watch.pruner, self.watch.step, found)))
            self.workspace.cancel(run.id)

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
        if was_cut(state):
            return run
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

    def _is_over(self, run: Run | None) -> bool:
        return run is None or not run.folder.is_dir() or run.state().status.is_over

    def _see_to_supervisor(self) -> None:
        if time.monotonic() >= self._check_after:
            self._check_after = time.monotonic() + CHECK
            if supervisor(self.workspace) is None:
                ensure_supervisor(self.workspace, worker=self.worker)
