"""The desk where jobs are answered, one at a time, by a worker that keeps its models in memory between them.

A quick question is not kept waiting by a long job: the same worker answers it where the long job rests, so that no
second process needs the memory of another torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import UserError
from core.files import remove_file
from core.jobs import LONG, QUICK, Job
from core.launcher import Worker, alive, end, read_identity
from core.runs import tail
from core.watch import Patience, death, last_lines
from core.workspace import Workspace


@dataclass(frozen=True)
class Sitting:
    """A job at the desk; `again` if its worker had answered another before."""

    job: Job
    worker: Worker
    again: bool


class Desk:
    """Hands waiting jobs to a worker; one that dies on a job is told to whoever asked."""

    def __init__(self, workspace: Workspace, patience: Patience, spare: Callable[[], Worker | None]) -> None:
        self.workspace = workspace
        self.patience = patience
        self._spare = spare  # takes the spare worker for good
        self._sitting: Sitting | None = None
        self._beside: Job | None = None  # handed to the same worker, for when the long job rests
        self._idle: Worker | None = None
        self._idle_since = 0.0
        self._settled: set[str] = set()
        self._cancelled_at: float | None = None

    def turn(self) -> None:
        """Does what is due now."""
        if self._sitting is not None:
            self._mind(self._sitting)
        if self._sitting is None:
            job = self._next()
            if job is not None:
                self._seat(job)
        else:
            self._let_pass(self._sitting)
        if self._idle is not None and time.monotonic() - self._idle_since > self.patience.idle:
            self.close()

    def close(self) -> None:
        """Lets the worker go: it ends after the job it is at."""
        worker = self._sitting.worker if self._sitting else self._idle
        if worker is not None:
            worker.dismiss()
        self._idle = None

    def fail_next(self, error: UserError, details: str) -> None:
        """Ends the next waiting job with an error, because no worker can be had."""
        job = self._next()
        if job is not None:
            job.fail(error, details)

    def _next(self, kinds: tuple[str, ...] = ()) -> Job | None:
        """The oldest job, of any kind or one of `kinds`, that nobody has begun; those a worker left behind are ended on
        the way."""
        for job_id in self.workspace.job_ids():
            if job_id in self._settled:
                continue
            job = self.workspace.job(job_id)
            who = read_identity(job.worker)
            if job.done():
                self._settled.add(job_id)
            elif who is not None:  # begun under an earlier supervisor
                if not alive(who) and not job.done():
                    job.fail(_died(job, None, ""))
            elif job.cancel_requested():
                job.fail(_cancelled(job))
            elif not kinds or job.kind in kinds:
                return job
        return None

    def _seat(self, job: Job) -> None:
        again = self._idle is not None and self._idle.alive()
        worker = self._idle if again else self._spare()
        if worker is None:
            return
        self._idle = None
        self._cancelled_at = None
        self._sitting = Sitting(job, worker, again)
        worker.give_job(job)

    def _let_pass(self, sitting: Sitting) -> None:
        """Hands a quick question to the worker of a long job, one after another."""
        if self._beside is not None and _over(self._beside):
            self._beside = None
        if self._beside is None and sitting.job.kind in LONG and (job := self._next(QUICK)) is not None:
            self._beside = job
            sitting.worker.give_job(job)

    def _mind(self, sitting: Sitting) -> None:
        working = sitting.worker.alive()  # asked first: what it wrote before it died counts
        if _over(sitting.job):
            self._sitting, self._idle, self._idle_since = None, sitting.worker, time.monotonic()
            self._go_on(sitting.worker)
        elif not working:
            self._sitting = None
            self._bury(sitting)
            self._ask_again()
        elif sitting.job.cancel_requested():
            self._hurry(sitting)

    def _go_on(self, worker: Worker) -> None:
        """What was handed over beside a job that is over now has the worker for itself."""
        if self._beside is not None and not _over(self._beside):
            self._sitting, self._idle = Sitting(self._beside, worker, again=True), None
            self._cancelled_at = None
        self._beside = None

    def _ask_again(self) -> None:
        """What was handed over beside a job that killed the worker gets its turn with a fresh one."""
        if self._beside is not None and not _over(self._beside):
            remove_file(self._beside.worker)
        self._beside = None

    def _bury(self, sitting: Sitting) -> None:
        if sitting.job.cancel_requested():
            sitting.job.fail(_cancelled(sitting.job))
        elif sitting.again:  # it may have ended before it saw the job
            remove_file(sitting.job.worker)  # its turn comes again, with a fresh worker
        else:
            log = tail(sitting.worker.log)
            sitting.job.fail(_died(sitting.job, sitting.worker.process.poll(), log), last_lines(log))

    def _hurry(self, sitting: Sitting) -> None:
        now = time.monotonic()
        self._cancelled_at = self._cancelled_at or now
        waited = now - self._cancelled_at - self.patience.cancel
        if waited > 0:
            end(sitting.worker.who, kill=waited > self.patience.terminate)


def _over(job: Job) -> bool:
    """Whether it is answered, or whoever asked has taken it away."""
    return job.done() or not job.folder.is_dir()


def _died(job: Job, code: int | None, log: str) -> UserError:
    """What to say of a question whose worker died."""
    found = death(code, log)
    name = found.code if found.code in ("out_of_memory", "disk_full") else "worker_died"
    why = found.cause.partition(". ")[0].rstrip(".")
    what = f"No answer to this {job.kind}: {why[:1].lower()}{why[1:]}."
    return UserError(name, job.kind, what, "", "Runs and data are not affected. Ask again.")


def _cancelled(job: Job) -> UserError:
    return UserError("cancelled", job.kind, f"This {job.kind} was cancelled.", "", "Ask again to begin anew.")
