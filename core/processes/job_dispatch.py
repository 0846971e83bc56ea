"""Where jobs are answered, one at a time, by a worker that keeps its models in memory between them.

A quick question is not kept waiting by a long job: the same worker answers it where the long job rests, so that no
second process needs the memory of another torch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from core.disk import disk_error
from core.errors import UserError
from core.files import remove_file
from core.jobs import Job
from core.processes.identity import Identity
from core.processes.run_monitor import Timeouts, death, last_lines
from core.processes.workers import Worker, alive, end, read_identity
from core.questions.request import is_overtaken, overtakes
from core.runs import tail
from core.workspace import Workspace

TRIES = 3  # workers a long job may lose while others' questions are answered by them


@dataclass(frozen=True)
class Running:
    """A job that a worker is at; `again` if its worker had answered another before, `shared` if it was given others
    meanwhile."""

    job: Job
    worker: Worker
    again: bool
    shared: bool = False


class JobDispatcher:
    """Hands waiting jobs to a worker; one that dies on a job is told to whoever asked."""

    def __init__(self, workspace: Workspace, timeouts: Timeouts, spare: Callable[[], Worker | None]) -> None:
        self.workspace = workspace
        self.timeouts = timeouts
        self._spare = spare  # takes the spare worker for good
        self._running: Running | None = None
        self._beside: Job | None = None  # handed to the same worker, for when the long job rests
        self._idle: Worker | None = None
        self._idle_since = 0.0
        self._alone: set[str] = set()  # questions that may have killed the worker of a long job
        self._lost: Counter[str] = Counter()  # workers of a long job that died while they were shared
        self._settled: set[str] = set()
        self._told: set[str] = set()  # those some worker was given since we are here
        self._later: dict[str, float] = {}  # those whose folder could not be read or written, and when to try again
        self._cancelled_at: float | None = None

    def turn(self) -> None:
        """Does what is due now."""
        if self._running is not None:
            self._mind(self._running)
        if self._running is None:
            job = self._next()
            if job is not None:
                self._assign(job)
        else:
            self._let_pass(self._running)
        if self._idle is not None and time.monotonic() - self._idle_since > self.timeouts.idle:
            self.close()

    def close(self) -> None:
        """Lets the worker go: it ends after the job it is at."""
        worker = self._running.worker if self._running else self._idle
        if worker is not None:
            worker.dismiss()
        self._idle = None

    def fail_next(self, error: UserError, details: str) -> None:
        """Ends the next waiting job with an error, because no worker can be had."""
        job = self._next()
        if job is not None:
            job.fail(error, details)

    def _next(self, *, quick: bool = False) -> Job | None:
        """The oldest job, of any kind or a `quick` one to be answered beside another, that nobody has begun; those a
        worker left behind are ended on the way. What may have killed a worker comes first, and beside no other."""
        for job_id in sorted(self.workspace.job_ids(), key=lambda one: one not in self._alone):
            if job_id in self._settled or self._later.get(job_id, 0.0) > time.monotonic():
                continue
            if quick and job_id in self._alone:
                continue
            try:
                job = self._open(self.workspace.job(job_id), quick=quick)
            except (OSError, ValueError):  # gone meanwhile, or its folder is broken: the others need not wait for it
                self._later[job_id] = time.monotonic() + self.timeouts.retry
                continue
            if job is not None:
                return job
        return None

    def _open(self, job: Job, *, quick: bool) -> Job | None:
        """The job if it is one to begin; ends what an earlier worker left, what was cancelled and what is damaged."""
        who = read_identity(job.worker)
        if job.done():
            self._settled.add(job.id)
        elif who is not None and (not self._ours(who) or job.id in self._told):
            if not alive(who) and not job.done():
                job.fail(_died(_kind(job), None, ""))
        elif job.cancel_requested():
            job.fail(_cancelled(_kind(job)))
        elif not job.readable():
            job.fail(UserError("job_damaged", "job", job.id, "a question that can be read", "Ask again."))
        elif not quick or overtakes(job.kind):
            return job
        return None

    def _ours(self, who: Identity) -> bool:
        """Whether that is a worker of this desk: then we know what it was told, whatever a full disk left behind."""
        mine = (self._idle, self._running.worker if self._running else None)
        return any(worker is not None and worker.who == who for worker in mine)

    def _assign(self, job: Job) -> None:
        again = self._idle is not None and self._idle.alive()
        worker = self._idle if again else self._spare()
        if worker is None:
            return
        self._idle, self._idle_since = worker, time.monotonic()  # until it is told: the disk may refuse
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
        self._told.add(job.id)

    def _refuse(self, job: Job, error: OSError) -> None:
        """A job that could not be handed over: whoever asked hears why, if there is space for that; else later."""
        self._later[job.id] = time.monotonic() + self.timeouts.retry
        found = disk_error(error, job.folder)
        if found is not None:
            with suppress(OSError):
                job.fail(found)

    def _let_pass(self, running: Running) -> None:
        """Hands a quick question to the worker of a long job, one after another."""
        if self._beside is not None and _over(self._beside):
            self._beside = None
        if self._beside is None and is_overtaken(running.job.kind) and (job := self._next(quick=True)) is not None:
            self._give(job, running.worker)
            self._beside, self._running = job, replace(running, shared=True)

    def _mind(self, running: Running) -> None:
        working = running.worker.alive()  # asked first: what it wrote before it died counts
        if _over(running.job):
            self._running, self._idle, self._idle_since = None, running.worker, time.monotonic()
            self._go_on(running.worker)
        elif not working:
            self._running = None
            self._record_death(running)
            self._ask_again()
        elif running.job.cancel_requested():
            self._enforce_cancel(running)

    def _go_on(self, worker: Worker) -> None:
        """What was handed over beside a job that is over now has the worker for itself."""
        if self._beside is not None and not _over(self._beside):
            self._running, self._idle = Running(self._beside, worker, again=True), None
            self._cancelled_at = None
        self._beside = None

    def _ask_again(self) -> None:
        """What was handed over to a worker that died, beside its long job, gets its turn with one of its own."""
        if self._beside is not None and not _over(self._beside):
            self._alone.add(self._beside.id)
            self._again(self._beside)
        self._beside = None

    def _again(self, job: Job) -> None:
        """Its turn comes again, with a fresh worker."""
        self._told.discard(job.id)
        remove_file(job.worker)

    def _record_death(self, running: Running) -> None:
        if running.job.cancel_requested():
            running.job.fail(_cancelled(_kind(running.job)))
        elif running.again and not running.shared:  # it may have ended before it saw the job
            self._again(running.job)
        elif running.shared and self._lost[running.job.id] + 1 < TRIES:  # another's question may have killed it
            self._lost[running.job.id] += 1
            self._again(running.job)
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
    """Whether it is answered, or whoever asked has taken it away."""
    return job.done() or not job.folder.is_dir()


def _kind(job: Job) -> str:
    """What was asked, as far as that can be read."""
    try:
        return job.kind
    except (OSError, ValueError, KeyError):
        return "question"


def _died(kind: str, code: int | None, log: str) -> UserError:
    """What to say of a question whose worker died."""
    found = death(code, log)
    name = found.code if found.code in ("out_of_memory", "disk_full") else "worker_died"
    why = found.cause.partition(". ")[0].rstrip(".")
    what = f"No answer to this {kind}: {why[:1].lower()}{why[1:]}."
    return UserError(name, kind, what, "", "Runs and data are not affected. Ask again.")


def _cancelled(kind: str) -> UserError:
    return UserError("cancelled", kind, f"This {kind} was cancelled.", "", "Ask again to begin anew.")
