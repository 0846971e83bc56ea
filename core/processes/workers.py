"""Workers, the supervisor and a run in the foreground, as processes. Never imports the engine.

A worker is told what to do by lines on its stdin and says `ready` on its stdout when its imports are done:
    {"run": "/…/runs/<id>"}   then end of file: it does the run and ends
    {"job": "/…/jobs/<id>"}   it answers, keeps its models in memory and waits for the next line
    end of file               it ends (so a spare dies with the supervisor that kept it)
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

from core.errors import UserError
from core.files import make_folder, move, remove_file, write_atomic
from core.processes.identity import Identity, alive, command_of, described, holder, identity, read_identity
from core.processes.process import POLL, end, reap, spawn, started, stop
from core.runs import Run, tail
from core.workspace import Job, Workspace

__all__ = [
    "Identity", "SupervisorError", "Worker", "alive", "end", "ensure_supervisor", "identity", "read_identity",
    "run_in_foreground", "start_worker", "stop_supervisor", "supervisor",
]  # fmt: skip
WORKER = (sys.executable, "-m", "core.engine.worker")
SUPERVISOR = (sys.executable, "-m", "core.processes.supervisor")
NICE = 5  # a busy worker leaves the dashboard its share: rerun p95 stays under a second
# Threads of a convolution wait for each other by spinning. Never spinning (OMP_WAIT_POLICY=PASSIVE) made training 1.5×
# slower, spinning at length made it many times slower whenever something else ran on one of the cores.
SPIN_BRIEFLY = {"GOMP_SPINCOUNT": "20000", "KMP_BLOCKTIME": "1"}
MEMORY_SHARE = 0.9  # of the machine's memory, as RLIMIT_DATA
IDENTITY_FILES = ("worker.json", "foreground.json", "supervisor.json", "dashboard.json", "driver.json")
START_LIMIT = 15.0  # seconds a supervisor may take to come up
SIGN_LIMIT = 2.0  # seconds the one that holds the lock may take to write down who it is
TAKEN = 3  # exit code of a supervisor that found the lock taken


class SupervisorError(RuntimeError):
    """A supervisor that does not start, with the end of its log."""


# workers


@dataclass(frozen=True)
class Worker:
    """A process that waits for a run or jobs, and the file its output goes to."""

    process: subprocess.Popen[bytes]
    who: Identity
    log: Path

    def ready(self) -> bool:
        """Whether its imports are done."""
        return b"ready\n" in self.log.read_bytes()[:65536] if self.log.exists() else False

    def alive(self) -> bool:
        """Whether it still runs; reaps it, and closes our end of its pipe, if it does not."""
        if self.process.poll() is None:
            return True
        self.dismiss()
        return False

    def give_run(self, run: Run, before: Callable[[], object] = lambda: None) -> None:
        """Hands it a run for good: written down first, so that whoever comes after us finds who has it.

        `before` is done between the two. Raises OSError when the disk does; the worker was then not told.
        """
        self._sign(run.worker)
        before()
        with suppress(OSError):  # where its output lies matters less than the run
            if run.log.exists():
                move(run.log, run.folder / f"log-{time.time_ns()}.txt")
            if self.log.exists():
                move(self.log, run.log)
        self._tell({"run": str(run.folder)})
        self.dismiss()

    def give_job(self, job: Job) -> None:
        """Hands it a job; more may follow when that one is done. Raises OSError, and then has not told the worker."""
        self._sign(job.worker)
        self._tell({"job": str(job.folder)})

    def _sign(self, path: Path) -> None:
        try:
            write_atomic(path, self.who.to_json().encode())
        except OSError:
            with suppress(OSError):  # it may be there already, and would say that we have what we never got
                remove_file(path)
            raise

    def dismiss(self) -> None:
        """Closes its stdin: it ends after what it is doing."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def _tell(self, message: dict[str, str]) -> None:
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):  # it died meanwhile: whoever watches it will tell
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()


def start_worker(logs: Path, command: tuple[str, ...] = WORKER) -> Worker:
    """Starts a worker in its own session, nicer than the dashboard and, on Linux, with a limit on its memory.

    The limit is RLIMIT_DATA, what the process may write to: importing torch takes 0.9 GB of it, against 3.5 GB of
    RLIMIT_AS, most of which is never touched (CUDA reserves far more still). An allocation over it fails inside the
    worker, which can say so; without it the kernel kills.
    """
    if not logs.parent.is_dir():  # a workspace that was moved away is not made anew
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(logs.parent))
    log = make_folder(logs) / f"{secrets.token_hex(8)}.txt"
    environment = {
        **os.environ,
        **SPIN_BRIEFLY,
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    process = spawn(command, log, environment, piped=True)
    _limit(process.pid)
    return Worker(process, started(process), log)


def _limit(pid: int) -> None:
    """Set from outside, right after the start: code between fork and exec is unsafe in a threaded parent."""
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    if sys.platform == "linux":
        import resource

        limit = int(memory() * MEMORY_SHARE)
        with suppress(ProcessLookupError, PermissionError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))


def memory() -> int:
    """Bytes this process's group may use: the machine's, or less where a container says so."""
    total = psutil.virtual_memory().total
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            total = min(total, int(Path(path).read_text(encoding="ascii")))
    return total


def run_in_foreground(run: Run, command: tuple[str, ...] = WORKER) -> subprocess.Popen[bytes]:
    """Starts a worker for `run` beside the supervisor, for the CLI, which follows its events and waits for it.

    `foreground.json` names us: while we live the supervisor leaves the run alone. Ctrl-C does not reach the worker
    (it has its own session): cancel the run.
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
    """The workspace's supervisor, started if none runs; two callers at once get the same one.

    Raises SupervisorError with the end of its log if it does not come up, UserError `workspace_locked` if another
    program holds its lock, OSError if the disk takes no log of it.
    """
    until = time.monotonic() + START_LIMIT
    while True:
        running = supervisor(workspace)
        if running is not None:
            return running
        log = workspace.path / "supervisor.log"
        process = spawn((*command, str(workspace.path), *worker), log)
        reap(process)  # when it ends, also if another one was faster
        running = _comes_up(workspace, process, until)
        if running is not None:
            return running
        if process.poll() != TAKEN:
            raise SupervisorError(f"the supervisor of {workspace.path} did not start:\n{tail(log)}")
        pid = holder(lock_of(workspace))
        if pid is not None or time.monotonic() > until:  # else whoever held it has gone meanwhile
            raise locked(workspace, pid)


def _comes_up(workspace: Workspace, process: subprocess.Popen[bytes], until: float) -> Identity | None:
    """The supervisor that comes up while `process` tries to be it; one that found the lock taken waits a little for
    the other to say who it is."""
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
    return workspace.path / "supervisor.lock"


def supervisor(workspace: Workspace) -> Identity | None:
    """The supervisor that looks after the workspace now, if any: as it wrote itself down, else as the kernel says."""
    who = read_identity(workspace.path / "supervisor.json")
    if alive(who):
        return who
    pid = holder(lock_of(workspace))
    return identity(pid) if pid is not None and _is_supervisor(pid) else None


def _is_supervisor(pid: int) -> bool:
    return SUPERVISOR[-1] in command_of(pid)


def locked(workspace: Workspace, pid: int | None) -> UserError:
    """The workspace cannot be served, because a program that is no supervisor holds the lock."""
    allowed = f"a workspace whose supervisor.lock nobody else holds; {described(pid)} holds it"
    end = f"kill {pid}" if pid else f"fuser {lock_of(workspace)} shows it"
    fix = f"End that process ({end}), or name another workspace with --workspace."
    return UserError("workspace_locked", "workspace", str(workspace.path), allowed, fix)


def stop_supervisor(workspace: Workspace, limit: float = 10.0) -> bool:
    """Ends the supervisor and its spare; a running worker goes on and is adopted later. False if none ran."""
    who = supervisor(workspace)
    if who is None:
        return False
    stop(who, limit)
    return True
