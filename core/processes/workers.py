"""Workers, the supervisor and runs in the foreground, as processes; the engine is never imported.

A worker reads orders as lines on its stdin, and prints `ready` once its imports are done:
    {"run": "/…/runs/<id>"}   then end of file: it does the run and ends; with "gpu": on that GPU alone
    {"job": "/…/jobs/<id>"}   it answers, keeps its models in memory and waits for the next line
    end of file               it ends (so a spare worker dies with its supervisor)
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.classroom.places import root_of
from core.errors import UserError
from core.files import make_folder, move, remove_file, write_atomic
from core.processes.identity import Identity, alive, command_of, described, holder, identity, read_identity
from core.processes.process import POLL, end, reap, spawn, started, stop
from core.runs import Run, tail
from core.workspace import Job, Workspace

__all__ = [
    "Identity",
    "SupervisorError",
    "Worker",
    "alive",
    "end",
    "ensure_supervisor",
    "identity",
    "read_identity",
    "run_in_foreground",
    "start_worker",
    "stop_supervisor",
    "supervisor",
]
WORKER = (sys.executable, "-m", "core.engine.worker")
SUPERVISOR = (sys.executable, "-m", "core.processes.supervisor")
NICE = 5  # leaves the dashboard its share of a busy machine: p95 of a rerun stays under a second
# Threads that share an operation sleep while they wait for each other. Spinning is faster on an idle machine, but keeps
# a core from other processes; operations too small to be shared have one thread (core/engine/threads.py).
# NumPy's and SciPy's BLAS gets one thread: the matrices are small.
ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0", "OPENBLAS_NUM_THREADS": "1"}
MEMORY_SHARE = 0.9  # of the machine's memory, as RLIMIT_DATA
IDENTITY_FILES = ("worker.json", "foreground.json", "supervisor.json", "dashboard.json", "driver.json")
START_LIMIT = 15.0  # seconds a supervisor may take to come up
SIGN_LIMIT = 2.0  # seconds the holder of the lock may take to record its identity
TAKEN = 3  # exit code of a supervisor whose lock is held by another


class SupervisorError(RuntimeError):
    """The supervisor did not start; the message holds the end of its log."""


# workers


@dataclass(frozen=True)
class Worker:
    """A process that waits for a run or for jobs, and the file of its output."""

    process: subprocess.Popen[bytes]
    who: Identity
    log: Path

    def ready(self) -> bool:
        """Whether its imports are done."""
        return b"ready\n" in self.log.read_bytes()[:65536] if self.log.exists() else False

    def alive(self) -> bool:
        """Whether it still runs; if not, reaps it and closes our end of its pipe."""
        if self.process.poll() is None:
            return True
        self.dismiss()
        return False

    def give_run(self, run: Run, before: Callable[[], object] = lambda: None, gpu: int | None = None) -> None:
        """Gives it a run, and one GPU by its index; the worker is recorded in the run's folder first, so that a later
        supervisor finds it.

        `before` is called between the two. Raises OSError if the disk fails; the worker then has not got the run.
        """
        self._record_in(run.worker)
        before()
        with suppress(OSError):  # the place of its output matters less than the run
            if run.log.exists():
                move(run.log, run.folder / f"log-{time.time_ns()}.txt")
            if self.log.exists():
                move(self.log, run.log)
        self._send({"run": str(run.folder)} | ({} if gpu is None else {"gpu": str(gpu)}))
        self.dismiss()

    def give_job(self, job: Job) -> None:
        """Gives it a job; more may follow later. Raises OSError if the disk fails; the worker then has not got the
        job."""
        self._record_in(job.worker)
        self._send({"job": str(job.folder)})

    def _record_in(self, path: Path) -> None:
        try:
            write_atomic(path, self.who.to_json().encode())
        except OSError:
            with suppress(OSError):  # the file may already be there, and would be wrong
                remove_file(path)
            raise

    def dismiss(self) -> None:
        """Closes its stdin: it ends after its current work."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def _send(self, message: dict[str, str]) -> None:
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):  # it died meanwhile: its monitor will report that
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()


def start_worker(logs: Path, command: tuple[str, ...] = WORKER) -> Worker:
    """Starts a worker in its own session, with lower priority than the dashboard and, on Linux, a memory limit.

    The limit is RLIMIT_DATA (writable memory): importing torch takes 0.9 GB of it, but 3.5 GB of RLIMIT_AS, most of
    which is never touched (CUDA reserves far more). An allocation over the limit fails inside the worker, which can
    report it; without a limit the kernel would kill the worker.
    """
    if not logs.parent.is_dir():  # a workspace that was moved away is not created again
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(logs.parent))
    log = make_folder(logs) / f"{secrets.token_hex(8)}.txt"
    environment = {
        **os.environ,
        **ASLEEP,
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    process = spawn(command, log, environment, piped=True)
    _limit(process.pid)
    return Worker(process, started(process), log)


def _limit(pid: int) -> None:
    """Sets priority and limit from outside, after the start: code between fork and exec is unsafe with threads."""
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    if sys.platform == "linux":
        import resource

        limit = int(memory() * MEMORY_SHARE)
        with suppress(ProcessLookupError, PermissionError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))


def memory() -> int:
    """Bytes of memory available: the machine's, or the limit of the container."""
    total = psutil.virtual_memory().total
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            total = min(total, int(Path(path).read_text(encoding="ascii")))
    return total


def run_in_foreground(run: Run, command: tuple[str, ...] = WORKER) -> subprocess.Popen[bytes]:
    """Starts a worker for `run` without the supervisor, for the CLI, which follows its events and waits for it.

    `foreground.json` names this process: while it is alive the supervisor does not touch the run. Ctrl-C does not reach
    the worker, which has its own session: cancel the run instead.
    """
    mine = identity(os.getpid())
    assert mine is not None
    write_atomic(run.foreground, mine.to_json().encode())
    worker = start_worker(run.folder, command)
    worker.give_run(run)
    return worker.process


# the supervisor


def ensure_supervisor(
    workspace: Workspace, *, worker: tuple[str, ...] = WORKER, command: tuple[str, ...] = SUPERVISOR
) -> Identity:
    """The workspace's supervisor, started if none runs; concurrent callers get the same one.

    Raises SupervisorError with the end of its log if it does not start, UserError `workspace_locked` if another program
    holds its lock, OSError if its log cannot be written.
    """
    workspace = serving(workspace)
    until = time.monotonic() + START_LIMIT
    while True:
        running = supervisor(workspace)
        if running is not None:
            return running
        log = workspace.path / "supervisor.log"
        process = spawn((*command, str(workspace.path), *worker), log)
        reap(process)  # also if another supervisor was faster
        running = _comes_up(workspace, process, until)
        if running is not None:
            return running
        if process.poll() != TAKEN:
            raise SupervisorError(f"the supervisor of {workspace.path} did not start:\n{tail(log)}")
        pid = holder(lock_of(workspace))
        if pid is not None or time.monotonic() > until:  # otherwise the holder has ended meanwhile
            raise locked(workspace, pid)


def _comes_up(workspace: Workspace, process: subprocess.Popen[bytes], until: float) -> Identity | None:
    """The supervisor that starts: `process`, or the holder of the lock, which gets a moment to record its identity.
    None if neither comes up."""
    while time.monotonic() < until:
        running = supervisor(workspace)
        if running is not None:
            return running
        code = process.poll()
        if code == TAKEN:
            until = min(until, time.monotonic() + SIGN_LIMIT)
            pid = holder(lock_of(workspace))
            if pid is not None and not _is_supervisor(pid):
                return None
        elif code is not None:
            return None
        time.sleep(POLL)
    return None


def lock_of(workspace: Workspace) -> Path:
    """The file whose lock a supervisor holds while it lives."""
    return serving(workspace).path / "supervisor.lock"


def serving(workspace: Workspace) -> Workspace:
    """The workspace whose supervisor serves this one: a learner's corner has none of its own."""
    root = root_of(workspace.path)
    return workspace if root == workspace.path else Workspace(root)


def supervisor(workspace: Workspace) -> Identity | None:
    """The workspace's running supervisor, if any: as recorded in supervisor.json, otherwise as the kernel reports."""
    workspace = serving(workspace)
    who = read_identity(workspace.path / "supervisor.json")
    if alive(who):
        return who
    pid = holder(lock_of(workspace))
    return identity(pid) if pid is not None and _is_supervisor(pid) else None


def _is_supervisor(pid: int) -> bool:
    return SUPERVISOR[-1] in command_of(pid)


def locked(workspace: Workspace, pid: int | None) -> UserError:
    """The error for a workspace whose lock is held by a program other than a supervisor."""
    allowed = f"a workspace whose supervisor.lock nobody else holds; {described(pid)} holds it"
    end = f"kill {pid}" if pid else f"fuser {lock_of(workspace)} shows it"
    fix = f"End that process ({end}), or choose another workspace with --workspace."
    return UserError("workspace_locked", "workspace", str(workspace.path), allowed, fix)


def stop_supervisor(workspace: Workspace, limit: float = 10.0) -> bool:
    """Stops the supervisor and its spare worker; a running worker continues and is adopted later. False if none ran."""
    who = supervisor(workspace)
    if who is None:
        return False
    stop(who, limit)
    return True
