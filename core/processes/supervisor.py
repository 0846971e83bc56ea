"""One process per workspace that gives queued runs and jobs to workers, keeps a spare worker ready, and records every
worker's death. It serves the corners of a class in the workspace too, in fair turns.

It may be killed at any time: everything it knows is in the workspace, and the next supervisor continues. A running
worker does not depend on it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple, ParamSpec

from core.classroom.limits import MINUTES_CODE, time_spent
from core.classroom.places import is_corner
from core.cluster.setting import cluster_of
from core.errors import UserError
from core.events import RunCancelled, RunFailed, RunInterrupted, RunPaused, RunQueued
from core.files import FULL, lock, write_atomic
from core.processes.cluster import ClusterExecutor
from core.processes.everyone import Everyone
from core.processes.executor import Executor
from core.processes.identity import Identity
from core.processes.job_dispatch import JobDispatcher
from core.processes.local import LocalExecutor
from core.processes.run_monitor import Outcome, RunMonitor, Timeouts
from core.processes.searches import start_driver, unattended
from core.processes.workers import TAKEN, WORKER, Worker, alive, identity, lock_of, read_identity
from core.runs import Run, Status
from core.storage.disk import disk_message
from core.workspace import Workspace
from core.workspace_files.cache import make_room

P = ParamSpec("P")
SAY_AGAIN = 60.0  # seconds until a lasting fault is written to the log again
NEVER_BEGUN = "Never begun: the process that created this run ended before queueing it. Resume it to queue it."


class Listed(NamedTuple):
    """The runs of a workspace that may not have ended, as of the time its folder was `written`; to be read again when
    it was written since, or after `until` (monotonic seconds)."""

    written: int
    until: float
    open: list[str]


class Supervisor:
    """The loop and its state: the executor of runs, the monitored runs, the dispatcher of jobs."""

    def __init__(
        self, workspace: Workspace, command: tuple[str, ...] = WORKER, timeouts: Timeouts | None = None
    ) -> None:
        self.workspace = workspace
        self.command = command
        self.timeouts = timeouts or Timeouts()
        self.stopping = False
        self.monitors: dict[str, RunMonitor] = {}
        self.everyone = Everyone(workspace)
        self.local = LocalExecutor(workspace, command, self.timeouts, self._give_up_next, self._may_wait)
        self.executor: Executor = self.local
        self._address = ""  # of the cluster that `executor` uses
        self.dispatcher = JobDispatcher(self.everyone, self.timeouts, self.local.spare.take)
        self.me: Identity | None = None  # while it serves
        self._scan_after = 0.0
        self._tidy_after = 0.0
        self._open: dict[Path, Listed] = {}
        self._later: dict[str, float] = {}  # runs whose folder could not be written, and when to try again
        self._strays: dict[str, float] = {}  # runs that were never queued, and when we first saw them
        self._searches_rest = True  # until our first look: what `condenser stop` let rest goes on
        self._searches_over: dict[Path, dict[str, int]] = {}
        self._said: dict[str, tuple[str, float]] = {}
        self._started = (time.time(), time.monotonic())

    def serve(self) -> bool:
        """Serves the workspace until asked to stop or until the workspace is removed; False if another supervisor
        does."""
        with lock(lock_of(self.workspace), wait=False) as mine:
            if not mine:
                return False
            self.me = identity(os.getpid())
            place = _place(self.workspace.path)
            try:
                while not self.stopping and _place(self.workspace.path) == place:
                    self.turn()
                    time.sleep(self.timeouts.poll)
            finally:
                self.close()
        return True

    def turn(self) -> None:
        """Does what is due now; a fault in one part, such as a full disk, does not stop the others."""
        self._safely(self.sign)
        self._safely(self.choose_executor)
        self._safely(self.local.turn)
        if self.executor is not self.local:
            self._safely(self.executor.turn)
        if time.monotonic() >= self._scan_after:
            self._safely(self.adopt)
            self._safely(self.adopt_searches)
            self._scan_after = time.monotonic() + self.timeouts.scan
            self._safely(self._watch_time)
        for monitor in list(self.monitors.values()):
            self._safely(self._look, monitor)
        self._safely(self.begin_next)
        self._safely(self.dispatcher.turn)
        if time.monotonic() >= self._tidy_after:
            self._safely(self._tidy)
            self._tidy_after = time.monotonic() + self.timeouts.tidy

    def sign(self) -> None:
        """Records the identity of this supervisor, again if the record was damaged or removed."""
        path = self.workspace.path / "supervisor.json"
        if self.me is not None and read_identity(path) != self.me:
            write_atomic(path, self.me.to_json().encode())

    def choose_executor(self) -> None:
        """Sends runs to the cluster that the workspace names, or keeps them here; what goes on is not changed."""
        address = cluster_of(self.workspace)
        if address == self._address:
            return
        if self.executor is not self.local:
            self.executor.close()
        self._address = address
        self.executor = ClusterExecutor(self.workspace, address, self.command, self.timeouts) if address else self.local

    def _tidy(self) -> None:
        """Uses the monotonic clock: setting the system clock ahead by a year must not empty the trash."""
        wall, steady = self._started
        for workspace in self.everyone.workspaces():
            workspace.tidy(wall + time.monotonic() - steady)
            make_room(workspace)

    def close(self) -> None:
        """Ends what waits; a worker at a run or job continues."""
        if self.executor is not self.local:
            self.executor.close()
        self.local.close()
        self.dispatcher.close()

    # workers

    @property
    def spare(self) -> Worker | None:
        """The worker of this machine that waits for a run or for jobs."""
        return self.local.spare.worker

    @property
    def children(self) -> list[Worker]:
        """The workers of this machine that were given a run or jobs and have not ended."""
        return self.local.spare.children

    def _may_wait(self) -> bool:
        """Whether nothing waits for the spare worker while the runs at work take all cores: its imports, of seconds,
        would be theirs."""
        going = [monitor.run for monitor in self.monitors.values()]
        return self.local.is_full(going) and not self.dispatcher.waits and not self._waiting()

    def _give_up_next(self, log: str) -> None:
        what = "The process that does the work could not be started."
        error = UserError("worker_failed", "worker", what, "", "Nothing is lost: see the details, then resume.")
        for workspace, run_id in self._waiting()[:1]:
            run = workspace.run(run_id)
            run.emit(RunFailed({**error.to_json(), "message": str(error)}, log))
            workspace.unqueue(run_id)
        self.dispatcher.fail_next(error, log)

    # runs

    def _waiting(self) -> list[tuple[Workspace, str]]:
        """The waiting runs: those of whoever is next, then those of the others."""
        return [
            (one, run_id) for one in self.everyone.runs.order(self.everyone.workspaces()) for run_id in one.queued()
        ]

    def begin_next(self) -> None:
        """Has the next waiting run begun, if there is room for it beside those at work."""
        if not self.executor.is_ready():
            return
        now = time.monotonic()
        self._later = {run_id: due for run_id, due in self._later.items() if due > now}
        for workspace, run_id in self._waiting():
            if run_id in self._later:
                continue
            try:
                begun = self._begin(workspace, run_id)
            except OSError as error:
                if error.errno not in FULL:  # perhaps only its own folder: the others need not wait for it
                    self._later[run_id] = now + self.timeouts.retry
                raise
            if begun:
                return

    def _begin(self, workspace: Workspace, run_id: str) -> bool:
        """Has the run begun; False if it must not begin. True also if it has to wait: for room, or until a process is
        ready for it."""
        going = [monitor.run for monitor in self.monitors.values()]
        if not self.executor.has_room(Run(workspace.path / "runs" / run_id), going):
            return True
        run = self._startable(workspace, run_id)
        if run is None:
            workspace.unqueue(run_id)
            return bool(self.monitors)
        if (refusal := self.executor.refusal(run)) is not None:
            run.emit(RunFailed({**refusal.to_json(), "message": str(refusal)}))
            workspace.unqueue(run_id)
            return True
        worker = self.executor.begin(run, going, lambda: workspace.unqueue(run_id))
        if worker is not None:
            self.monitors[run_id] = RunMonitor(run, worker.who, self.timeouts, worker)
            self.everyone.runs.took(workspace.path)
        return True

    def _startable(self, workspace: Workspace, run_id: str) -> Run | None:
        """The run, unless it is deleted, has ended, was cancelled or paused, has no time left, or another process has
        it."""
        try:
            run = workspace.run(run_id)
        except UserError:
            return None
        who = self._at_work(run)
        if alive(who):  # an earlier supervisor died while handing it over
            self.monitors[run_id] = RunMonitor(run, who, self.timeouts)
            return None
        if run.state().status.is_over or _foreground(run):
            return None
        if run.cancel_requested():
            run.emit(RunCancelled())
            return None
        if run.pause_requested():
            run.emit(run.why_pause("Paused before it began."))
            return None
        if is_corner(workspace.path) and (spent := time_spent(workspace.path)):
            run.emit(RunPaused(spent, MINUTES_CODE))
            return None
        return run

    def _at_work(self, run: Run) -> Identity | None:
        """The run's recorded worker; not one that waits, whose name a full disk may have left there."""
        who = read_identity(run.worker)
        return None if self.executor.is_spare(who) or self.local.is_spare(who) else who

    def _look(self, monitor: RunMonitor) -> None:
        if _foreground(monitor.run):
            return
        try:
            outcome = monitor.check()
            if outcome is Outcome.DIED:
                self._record_death(monitor)
        except Exception:
            if (
                not monitor.working()
            ):  # its death cannot be recorded now; the next scan tries again, and no other run waits
                del self.monitors[monitor.run.id]
            raise
        if outcome is not Outcome.WORKING:
            del self.monitors[monitor.run.id]

    def _watch_time(self) -> None:
        """Pauses a learner's run that has used up the minutes of its corner."""
        for monitor in self.monitors.values():
            corner = monitor.run.folder.parent.parent
            if is_corner(corner) and not monitor.run.pause_requested() and (spent := time_spent(corner)):
                monitor.run.pause(spent, MINUTES_CODE)

    def _record_death(self, monitor: RunMonitor) -> None:
        """Records the death, and queues the run again unless it died too often or ran in the foreground."""
        run = monitor.run
        if full := monitor.full_disk():
            run.emit(RunPaused(full, "disk_full"))
            return
        strike = monitor.own_fault()
        death = monitor.death(strike=strike)
        if run.foreground.exists() or (strike and run.state().strikes >= self.timeouts.tries):
            run.emit(death)
            return
        self.everyone.of(run.id).queue(run, front=True)  # first: if we die between the two, the run still begins again
        run.emit(death, RunQueued())

    def adopt(self) -> None:
        """Starts to monitor the runs that have not ended and have no monitor; their workers are recorded."""
        for workspace in self.everyone.workspaces():
            waiting = set(workspace.queued())
            for run_id in self._open_runs(workspace):
                if run_id not in self.monitors and run_id not in waiting:
                    self._safely(self._adopt, Run(workspace.path / "runs" / run_id))

    def _open_runs(self, workspace: Workspace) -> list[str]:
        """The runs that may not have ended. Ended runs are checked again once a minute, and when a run is added or
        removed: a check of ten thousand takes 20 ms."""
        runs = workspace.path / "runs"
        here, known = _written(runs), self._open.get(workspace.path)
        if known is None or here != known.written or time.monotonic() >= known.until:
            open_runs = [one for one in workspace.run_ids() if not os.path.exists(f"{runs}/{one}/result.json")]
            known = self._open[workspace.path] = Listed(here, time.monotonic() + self.timeouts.relist, open_runs)
        return known.open

    def adopt_searches(self) -> None:
        """Has the searches worked on that are not over and that nobody works on."""
        resting, self._searches_rest = self._searches_rest, False
        for workspace in self.everyone.workspaces():
            over = self._searches_over.setdefault(workspace.path, {})
            for search in unattended(workspace, resting=resting, over=over):
                start_driver(workspace, search, self.command)

    def _adopt(self, run: Run) -> None:
        if run.result.exists():
            return
        state, who = run.state(), self._at_work(run)
        if state.status.is_over:
            run.settle()
        elif _foreground(run) or (state.status is Status.PAUSED and not alive(who)):
            return
        elif run.worker.exists():
            self.monitors[run.id] = RunMonitor(run, who, self.timeouts)
        elif time.monotonic() - self._strays.setdefault(run.id, time.monotonic()) > self.timeouts.orphan:
            run.emit(RunInterrupted(NEVER_BEGUN, "never_begun", strike=False))
            del self._strays[run.id]

    def _safely(self, act: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Calls `act`, and logs any error instead of stopping; the same error is logged once a minute."""
        try:
            act(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            said, now = f"{type(error).__name__}: {error}", time.monotonic()
            before, since = self._said.get(act.__name__, ("", 0.0))
            if said != before or now - since > SAY_AGAIN:
                self._said[act.__name__] = (said, now)
                with suppress(OSError, ValueError):  # a log that cannot be written to
                    traceback.print_exc()


def _place(folder: Path) -> tuple[int, int] | None:
    """Identifies a folder, even if it is moved; None if there is none."""
    try:
        stat = folder.stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino)


def _written(folder: Path) -> int:
    """When an entry of the folder was last added or removed, in nanoseconds since 1970; 0 if there is no folder."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _foreground(run: Run) -> bool:
    """Whether a command in a terminal waits for the run: then the supervisor must not touch it."""
    return alive(read_identity(run.foreground))


def main(arguments: list[str]) -> None:
    """`python -m core.processes.supervisor WORKSPACE [WORKER COMMAND …]`"""
    workspace = Workspace.open_to_serve(Path(arguments[0]))
    supervisor = Supervisor(workspace, tuple(arguments[1:]) or WORKER)

    def stop(signum: int, frame: FrameType | None) -> None:
        supervisor.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        sys.exit(None if supervisor.serve() else TAKEN)
    except OSError as error:  # not even its lock
        sys.exit(disk_message(error, workspace.path))


if __name__ == "__main__":
    main(sys.argv[1:])
