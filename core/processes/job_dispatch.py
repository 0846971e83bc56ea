"""Dispatches jobs, one at a time, to a worker that keeps its models in memory between them.

Quick jobs need not wait for a long one: the same worker answers them whenever the long job calls `Job.rest`, so that no
second process needs memory for torch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from core.errors import UserError
from core.files import remove_file
from core.jobs import Job
from core.processes.everyone import Everyone
from core.processes.identity import Identity
from core.processes.run_monitor import Timeouts, death, last_lines
from core.processes.workers import Worker, alive, end, read_identity
from core.questions.request import is_overtaken, overtakes
from core.runs import tail
from core.storage.disk import disk_error

TRIES = 3  # workers that a long job may lose while they also answer other jobs


@dataclass(frozen=True)
class Running:
    """A job and the worker at it; `again` if the worker had answered another job before, `shared` if it was given
    others meanwhile."""

    job: Job
    worker: Worker
    again: bool
    shared: bool = False


class JobDispatcher:
    """Gives waiting jobs to a worker; if the worker dies, the job ends with an error."""

    def __init__(self, everyone: Everyone, timeouts: Timeouts, spare: Callable[[], Worker | None]) -> None:
        self.everyone = everyone
        self.timeouts = timeouts
        self._spare = spare  # takes over the spare worker
        self._running: Running | None = None
        self._quick: Job | None = None  # given to the same worker, to be answered when the long job rests
        self._idle: Worker | None = None
        self._idle_since = 0.0
        self._alone: set[str] = set()  # jobs that may have killed the worker of a long job
        self._lost: Counter[str] = Counter()  # by job: its workers that died while shared
        self._settled: set[str] = set()
        self._given: set[str] = set()  # jobs that were given to a worker by this dispatcher
        self._later: dict[str, float] = {}  # jobs whose folder could not be read or written, and when to try again
        self._cancelled_at: float | None = None
        self.waits = False  # whether a job could begin, had it a worker

    def turn(self) -> None:
        """Does what is due now."""
        self.waits = False
        if self._running is not None:
            self._watch(self._running)
        if self._running is None:
            job = self._next()
            if job is not None:
                self._assign(job)
        else:
            self._give_quick_job(self._running)
        if self._idle is not None and time.monotonic() - self._idle_since > self.timeouts.idle:
            self.close()

    def close(self) -> None:
        """Releases the worker: it ends after its current job."""
        worker = self._running.worker if self._running else self._idle
        if worker is not None:
            worker.dismiss()
        self._idle = None

    def fail_next(self, error: UserError, details: str) -> None:
        """Ends the next waiting job with an error, because no worker can be started."""
        job = self._next()
        if job is not None:
            job.fail(error, details)

    def _next(self, *, quick: bool = False) -> Job | None:
        """The oldest job that has not begun, of any kind or only a `quick` one to share a worker; jobs left by dead
        workers are ended meanwhile. Jobs that may have killed a worker come first, and never share one."""
        for job_id in sorted(self.everyone.job_ids(), key=lambda one: one not in self._alone):
            if job_id in self._settled or self._later.get(job_id, 0.0) > time.monotonic():
                continue
            if quick and job_id in self._alone:
                continue
            try:
                job = self._open(self.everyone.job(job_id), quick=quick)
            except (OSError, ValueError):  # removed meanwhile, or its folder is broken: the others need not wait for it
                self._later[job_id] = time.monotonic() + self.timeouts.retry
                continue
            if job is not None:
                return job
        return None

    def _open(self, job: Job, *, quick: bool) -> Job | None:
        """The job if it can begin; ends it if its worker died, it was cancelled or it is damaged."""
        who = read_identity(job.worker)
        if job.done():
            self._settled.add(job.id)
        elif who is not None and (not self._ours(who) or job.id in self._given):
            if not alive(who) and not job.done():
                job.fail(_died(_kind(job), None, ""))
        elif job.cancel_requested():
            job.fail(_cancelled(_kind(job)))
        elif not job.readable():
            job.fail(UserError("job_damaged", "job", job.id, "a readable request", "Try again."))
        elif not quick or overtakes(job.kind):
            return job
        return None

    def _ours(self, who: Identity) -> bool:
        """Whether it is a worker of this dispatcher: then we know its jobs, whatever a full disk left in the folder."""
        mine = (self._idle, self._running.worker if self._running else None)
        return any(worker is not None and worker.who == who for worker in mine)

    def _assign(self, job: Job) -> None:
        again = self._idle is not None and self._idle.alive()
        worker = self._idle if again else self._spare()
        if worker is None:
            self.waits = True
            return
        self._idle, self._idle_since = worker, time.monotonic()  # until the job is handed over: the disk may fail
        self._give(job, worker)
        self._idle = None
        self._cancelled_at = None
        self._running = Running(job, worker, again)

    def _give(self, job: Job, worker: Worker) -> None:
        try:
            worker.give_job(job)
        except OSError as error:
            self._refuse(job, error)
            raise
        self._given.add(job.id)
        self.everyone.job_began(job)

    def _refuse(self, job: Job, error: OSError) -> None:
        """Ends a job that could not be handed over with the reason, if there is space for that; otherwise tries
        later."""
        self._later[job.id] = time.monotonic() + self.timeouts.retry
        found = disk_error(error, job.folder)
        if found is not None:
            with suppress(OSError):
                job.fail(found)

    def _give_quick_job(self, running: Running) -> None:
        """Gives a quick job to the worker of a long one, one at a time."""
        if self._quick is not None and _over(self._quick):
            self._quick = None
        if self._quick is None and is_overtaken(running.job.kind) and (job := self._next(quick=True)) is not None:
            self._give(job, running.worker)
            self._quick, self._running = job, replace(running, shared=True)

    def _watch(self, running: Running) -> None:
        working = running.worker.alive()  # before looking at the job: an answer written before it died counts
        if _over(running.job):
            self._running, self._idle, self._idle_since = None, running.worker, time.monotonic()
            self._continue_quick_job(running.worker)
        elif not working:
            self._running = None
            self._record_death(running)
            self._retry_quick_job()
        elif running.job.cancel_requested():
            self._enforce_cancel(running)

    def _continue_quick_job(self, worker: Worker) -> None:
        """The quick job that shared the worker of an ended job now has the worker to itself."""
        if self._quick is not None and not _over(self._quick):
            self._running, self._idle = Running(self._quick, worker, again=True), None
            self._cancelled_at = None
        self._quick = None

    def _retry_quick_job(self) -> None:
        """The quick job that shared a worker that died is tried again with a worker of its own."""
        if self._quick is not None and not _over(self._quick):
            self._alone.add(self._quick.id)
            self._retry(self._quick)
        self._quick = None

    def _retry(self, job: Job) -> None:
        """Puts the job back among those waiting, for a fresh worker."""
        self._given.discard(job.id)
        remove_file(job.worker)

    def _record_death(self, running: Running) -> None:
        if running.job.cancel_requested():
            running.job.fail(_cancelled(_kind(running.job)))
        elif running.again and not running.shared:  # it may have ended before it saw the job
            self._retry(running.job)
        elif running.shared and self._lost[running.job.id] + 1 < TRIES:  # another job may have killed it
            self._lost[running.job.id] += 1
            self._retry(running.job)
        else:
            log = tail(running.worker.log)
            running.job.fail(_died(_kind(running.job), running.worker.process.poll(), log), last_lines(log))

    def _enforce_cancel(self, running: Running) -> None:
        now = time.monotonic()
        self._cancelled_at = self._cancelled_at or now
        waited = now - self._cancelled_at - self.timeouts.cancel
        if waited > 0:
            end(running.worker.who, kill=waited > self.timeouts.terminate)


def _over(job: Job) -> bool:
    """Whether the job has ended, or was removed by the process that asked."""
    return job.done() or not job.folder.is_dir()


def _kind(job: Job) -> str:
    """The kind of the job, as far as it can be read."""
    try:
        return job.kind
    except (OSError, ValueError, KeyError):
        return "request"


def _died(kind: str, code: int | None, log: str) -> UserError:
    """The error for a job whose worker died."""
    found = death(code, log)
    name = found.code if found.code in ("out_of_memory", "disk_full") else "worker_died"
    why = found.cause.partition(". ")[0].rstrip(".")
    what = f"No answer to this {kind}: {why[:1].lower()}{why[1:]}."
    return UserError(name, kind, what, "", "Runs and data are not affected. Try again.")


def _cancelled(kind: str) -> UserError:
    return UserError("cancelled", kind, f"This {kind} was cancelled.", "", "Try again to start over.")
