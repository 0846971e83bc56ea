"""One process per workspace: gives queued runs and jobs to workers, keeps a spare one warm, and misses no death.

It may be killed at any time: everything it knows is in the workspace, and the next one takes up the watch. A running
worker goes on meanwhile, since nothing it needs passes through here.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import ParamSpec

from core.desk import Desk
from core.errors import UserError
from core.events import RunCancelled, RunFailed, RunInterrupted, RunPaused, RunQueued
from core.files import lock, write_atomic
from core.launcher import WORKER, Worker, alive, end, identity, read_identity, start_worker
from core.runs import Run, Status, tail
from core.watch import Outcome, Patience, Watch
from core.workspace import Workspace

P = ParamSpec("P")
WORKER_TRIES = 3  # spares that die before they are ready, before we say so
NEVER_BEGUN = "Never begun: whoever made this run ended before queueing it. Resume it to queue it."


class Supervisor:
    """The loop and what it holds: a spare worker, the runs it watches, the desk for jobs."""

    def __init__(
        self, workspace: Workspace, command: tuple[str, ...] = WORKER, patience: Patience | None = None
    ) -> None:
        self.workspace = workspace
        self.command = command
        self.patience = patience or Patience()
        self.stopping = False
        self.spare: Worker | None = None
        self.watches: dict[str, Watch] = {}
        self.desk = Desk(workspace, self.patience, self.take_spare)
        self._children: list[Worker] = []
        self._failures = 0
        self._start_after = 0.0
        self._scan_after = 0.0

    def serve(self) -> None:
        """Looks after the workspace until told to stop, or until it is gone; returns at once if another one does."""
        with lock(self.workspace.path / "supervisor.lock", wait=False) as mine:
            if not mine:
                return
            who = identity(os.getpid())
            assert who is not None
            write_atomic(self.workspace.path / "supervisor.json", who.to_json().encode())
            self.workspace.tidy()
            try:
                while not self.stopping and self.workspace.path.is_dir():
                    self.turn()
                    time.sleep(self.patience.poll)
            finally:
                self.close()

    def turn(self) -> None:
        """Does what is due now; a fault in one part, such as a full disk, keeps no other from its turn."""
        _safely(self.keep_spare)
        if time.monotonic() >= self._scan_after:
            _safely(self.adopt)
            self._scan_after = time.monotonic() + self.patience.scan
        for watch in list(self.watches.values()):
            _safely(self._look, watch)
        _safely(self.begin_next)
        _safely(self.desk.turn)

    def close(self) -> None:
        """Ends the spare; a worker at a run or job goes on."""
        if self.spare is not None:
            self.spare.dismiss()
            end(self.spare.who, kill=True)
            self.spare.process.wait()
        self.desk.close()

    # workers

    def keep_spare(self) -> None:
        """Has one worker warm; says so when none can be had."""
        self._children = [worker for worker in self._children if worker.alive()]  # reaps those that ended
        if self.spare is not None and not self.spare.alive():
            self._failures += 1
            self._start_after = time.monotonic() + min(self.patience.spare * 2 ** (self._failures - 1), 30.0)
            if self._failures >= WORKER_TRIES:
                self._give_up_next(tail(self.spare.log))
            self.spare = None
        if self.spare is None and time.monotonic() >= self._start_after:
            self.spare = start_worker(self.workspace.logs, self.command)
        elif self.spare is not None and self._failures and self.spare.ready():
            self._failures = 0

    def take_spare(self) -> Worker | None:
        """The spare worker, for good; None while there is none that is ready."""
        worker = self.spare
        if worker is not None and worker.ready() and worker.alive():
            self._children.append(worker)
            self.spare = None
            return worker
        return None

    def _give_up_next(self, log: str) -> None:
        what = "The process that does the work could not be started."
        error = UserError("worker_failed", "worker", what, "", "Nothing is lost: see the details, then resume.")
        for run_id in self.workspace.queued()[:1]:
            run = self.workspace.run(run_id)
            run.emit(RunFailed({**error.to_json(), "message": str(error)}, log))
            self.workspace.unqueue(run_id)
        self.desk.fail_next(error, log)

    # runs

    def begin_next(self) -> None:
        """Gives the next waiting run to the spare worker, one run at a time."""
        if self.watches or self.spare is None:
            return
        for run_id in self.workspace.queued():
            run = self._startable(run_id)
            worker = self.take_spare() if run is not None else None
            if run is not None and worker is not None:
                self._give(run, worker)
            if run is None or worker is not None:
                self.workspace.unqueue(run_id)
            if run is not None:
                return

    def _give(self, run: Run, worker: Worker) -> None:
        try:
            worker.give_run(run)
        except OSError:  # the disk, before the worker was told: it can wait for better times
            self.spare = worker
            raise
        self.watches[run.id] = Watch(run, worker.who, self.patience, worker)

    def _startable(self, run_id: str) -> Run | None:
        """The run, unless it is gone, over, no longer wanted, or in other hands already."""
        try:
            run = self.workspace.run(run_id)
        except UserError:
            return None
        who = read_identity(run.worker)
        if alive(who):  # the supervisor before us died while handing it over
            self.watches[run_id] = Watch(run, who, self.patience)
            return None
        if run.state().status.is_over or _foreground(run):
            return None
        if run.cancel_requested():
            run.emit(RunCancelled())
            return None
        if run.pause_requested():
            run.emit(RunPaused("Paused before it began.", "asked"))
            return None
        return run

    def _look(self, watch: Watch) -> None:
        if _foreground(watch.run):
            return
        outcome = watch.look()
        if outcome is Outcome.DIED:
            self._bury(watch)
        if outcome is not Outcome.WORKING:
            del self.watches[watch.run.id]

    def _bury(self, watch: Watch) -> None:
        """Tells the death, and queues the run again unless it died too often or nobody asked us to do it."""
        run = watch.run
        told = watch.death()
        if run.foreground.exists() or run.state().strikes >= self.patience.tries:
            run.emit(told)
            return
        self.workspace.queue(run, front=True)  # first: dying between the two, we begin it again all the same
        run.emit(told, RunQueued())

    def adopt(self) -> None:
        """Takes up the runs that are not over and that nobody watches: alive or dead, their worker is known."""
        waiting = set(self.workspace.queued())
        for run_id in self.workspace.run_ids():
            run = Run(self.workspace.path / "runs" / run_id)
            if run_id not in self.watches and run_id not in waiting and not run.result.exists():
                _safely(self._adopt, run)

    def _adopt(self, run: Run) -> None:
        state, who = run.state(), read_identity(run.worker)
        if state.status.is_over:
            run.settle()
        elif _foreground(run) or (state.status is Status.PAUSED and not alive(who)):
            return
        elif run.worker.exists():
            self.watches[run.id] = Watch(run, who, self.patience)
        elif time.time() - (state.last_event or 0.0) > self.patience.orphan:
            run.emit(RunInterrupted(NEVER_BEGUN, "never_begun"))


def _safely(act: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """The watch must go on, whatever one part of it meets; the log tells."""
    try:
        act(*args, **kwargs)
    except Exception:  # noqa: BLE001
        traceback.print_exc()


def _foreground(run: Run) -> bool:
    """Whether a person waits for the run at a terminal: then it is not ours to touch."""
    return alive(read_identity(run.foreground))


def main(arguments: list[str]) -> None:
    """`python -m core.supervisor WORKSPACE [WORKER COMMAND …]`"""
    workspace = Workspace.open_or_create(Path(arguments[0]))
    supervisor = Supervisor(workspace, tuple(arguments[1:]) or WORKER)

    def stop(signum: int, frame: FrameType | None) -> None:
        supervisor.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    supervisor.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
