"""Monitors one run: enforces cancellation, reports stalls, and records why its worker died."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from enum import Enum, auto

from core.events import RunCancelled, RunInterrupted, RunResumed, RunStalled
from core.processes.workers import Identity, Worker, alive, end
from core.runs import Run, RunState, Status, tail
from core.storage.disk import free_bytes
from core.text.formatting import size

DISK_FULL = ("No space left on device", "ENOSPC", "Disk quota exceeded")
DISK_FULL_EXIT = 28  # exit code of a worker that had no space to record even the pause: ENOSPC
NODE_LOST, NODE_REFUSED = 75, 76  # exit codes of a carrier: its node died, or would not have the run
NODE_CODES = {NODE_LOST: "node_lost", NODE_REFUSED: "node_refused"}
NO_MEMORY = ("MemoryError", "allocate memory", "out of memory", "bad_alloc", "Unable to allocate")


@dataclass(frozen=True)
class Timeouts:
    """How long the supervisor waits, in seconds, and how often it retries."""

    poll: float = 0.1
    cancel: float = 2.0  # for the worker to stop after its batch
    terminate: float = 1.0  # between SIGTERM and SIGKILL
    linger: float = 5.0  # for a worker to end after its last event
    stall: float = 120.0  # without any event
    scan: float = 5.0  # between two searches for runs without a monitor
    relist: float = 60.0  # between two checks of the runs that have ended
    orphan: float = 30.0  # for a new run to be queued by the process that created it
    idle: float = 60.0  # that a worker of jobs keeps its models in memory
    hang: float = 120.0  # for a spare worker to be ready
    retry: float = 5.0  # before another try with a run or job whose folder could not be written
    tidy: float = 3600.0  # between two clean-ups
    spare: float = 2.0  # after a spare worker died before it was ready; doubled each time, up to 30
    tries: int = 3  # resumes of a run that keeps failing without new progress


class Outcome(Enum):
    """What became of a run's worker."""

    WORKING = auto()
    ENDED = auto()
    DIED = auto()


class RunMonitor:
    """One run and its worker, which this supervisor started or found running."""

    def __init__(self, run: Run, who: Identity | None, timeouts: Timeouts, worker: Worker | None = None) -> None:
        self.run = run
        self.who = who
        self.worker = worker
        self.timeouts = timeouts
        self._leave_since: float | None = None
        self._stalled = False
        self._seen_alive = worker is not None
        self._heard = (-1, time.monotonic())  # the newest event, and when we saw it by the monotonic clock
        self._checkpoints = _names(run)

    def check(self) -> Outcome:
        """Does what is due now and returns the state of the worker."""
        if not self.run.folder.is_dir():  # deleted meanwhile
            self._end(kill=True)
            return Outcome.ENDED
        if self.working():
            self._seen_alive = True
            self._enforce_cancel()
            self._report_stall()
            return Outcome.WORKING
        return self._settle()

    def working(self) -> bool:
        """Whether the worker is alive."""
        return self.worker.alive() if self.worker else alive(self.who)

    def _enforce_cancel(self) -> None:
        """Ends a worker that should have ended by itself: after a cancel request, or after its last event."""
        over = self.run.state().status.is_over
        if not over and not self.run.cancel_requested():
            return
        now = time.monotonic()
        self._leave_since = self._leave_since or now
        waited = now - self._leave_since - (self.timeouts.linger if over else self.timeouts.cancel)
        if waited > 0:
            self._end(kill=waited > self.timeouts.terminate)

    def _end(self, *, kill: bool) -> None:
        if self.who is not None:
            end(self.who, kill=kill)

    def _report_stall(self) -> None:
        state = self.run.state()
        if self._stalled and state.status is Status.RUNNING:
            self.run.emit(RunResumed())
            self._stalled = False
        if state.seq != self._heard[0]:
            self._heard = (state.seq, time.monotonic())
        silent = time.monotonic() - self._heard[1]
        if state.status in (Status.RUNNING, Status.QUEUED) and silent > self.timeouts.stall:
            self.run.emit(RunStalled(silent))
            self._stalled = True

    def _settle(self) -> Outcome:
        """The worker has ended: makes sure that the log says how."""
        state = self.run.state()
        if state.status.is_over or state.status is Status.PAUSED:
            return Outcome.ENDED
        if self.run.cancel_requested():
            self.run.emit(RunCancelled())
            return Outcome.ENDED
        return Outcome.DIED

    def death(self, *, strike: bool) -> RunInterrupted:
        """The event that records why the worker died."""
        code = self.worker.process.poll() if self.worker else None
        return death(code, self._log(), self.run.state(), strike=strike)

    def _log(self) -> str:
        """The end of the worker's output, even if a full disk kept its file from being moved to the run."""
        moved = self.worker is None or not self.worker.log.exists()
        return self.run.log_tail() if moved or self.worker is None else tail(self.worker.log)

    def full_disk(self) -> str:
        """The reason of the pause if the worker died of a full disk; otherwise empty."""
        code = self.worker.process.poll() if self.worker else None
        if code != DISK_FULL_EXIT and not any(word in self._log() for word in DISK_FULL):
            return ""
        free = free_bytes(self.run.folder)
        return f"the disk is full ({self.run.folder}; {size(free)} are free now): free some space, then resume"

    def own_fault(self) -> bool:
        """Whether the death counts against the run: it had begun and was seen alive, was not asked to end nor
        refused by its node, and left no new checkpoint since monitoring began."""
        if self.worker is not None and self.worker.process.poll() in (-signal.SIGTERM, NODE_REFUSED):
            return False
        begun = self.worker is not None or self.run.state().status in (Status.RUNNING, Status.STALLED)
        return begun and self._seen_alive and not _names(self.run) - self._checkpoints


def death(code: int | None, log: str, state: RunState | None = None, *, strike: bool = True) -> RunInterrupted:
    """The event for a worker's death: why it ended and what to do, with the end of its log as details."""
    name, why = _why(code, log, state)
    return RunInterrupted(why, name, last_lines(log), strike)


def _names(run: Run) -> set[str]:
    """The run's checkpoint files, without unfinished ones; none if the folder cannot be read."""
    found = (path for path in run.checkpoints.rglob("*") if not path.name.startswith("."))
    return {str(path) for path in found}


def cause_of_death(code: int | None, log: str, state: RunState | None = None) -> str:
    """Why a worker ended, from its exit code (None: unknown) and the end of its log, and what to do."""
    return _why(code, log, state)[1]


def last_lines(log: str, count: int = 12) -> str:
    """The end of a log for a report, without the list of modules that Python prints after a crash."""
    return "\n".join([line for line in log.splitlines() if not line.startswith("Extension modules:")][-count:])


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name of its own
        return "without a name"


def _why(code: int | None, log: str, state: RunState | None) -> tuple[str, str]:
    """The code of the cause, and the sentences."""
    if code is not None and code in NODE_CODES:
        return NODE_CODES[code], last_lines(log, 1)
    if any(word in log for word in DISK_FULL):
        return "disk_full", "The disk is full. Free some space, then resume."
    if any(word in log for word in NO_MEMORY):
        return "out_of_memory", "Out of memory. Try a smaller batch or image size, then resume."
    if code == -signal.SIGKILL:
        fix = "Try a smaller batch or close other programs, then resume."
        return "killed", f"Killed from outside (signal 9), possibly because memory ran out. {fix}"
    if code is not None and code < 0:
        fix = "Resume; if it happens again, please report it with the details."
        return "crashed", f"The process crashed: signal {-code} ({_signal(-code)}). {fix}"
    if code is not None:
        return (
            "exited",
            f"The process ended with exit code {code} and no message. The details show its last output.",
        )
    if state is not None and state.started is None:
        return "not_begun", "The process ended before the run began. Resume it to try again."
    return (
        "unwatched",
        "The process ended unobserved: it was killed from outside, or the machine restarted. Resume the run.",
    )
