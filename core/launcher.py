"""Starts and ends processes: workers, the supervisor, a run in the foreground. Never imports the engine.

A worker is told what to do by lines on its stdin and says `ready` on its stdout when its imports are done:
    {"run": "/…/runs/<id>"}   then end of file: it does the run and ends
    {"job": "/…/jobs/<id>"}   it answers, keeps its models in memory and waits for the next line
    end of file               it ends (so a spare dies with the supervisor that kept it)
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Thread

import psutil

from core.files import make_folder, move, open_log, write_atomic
from core.runs import Run
from core.sealed import read_sealed, seal
from core.workspace import Job, Workspace

ROOT = Path(__file__).resolve().parent.parent
WORKER = (sys.executable, "-m", "core.engine.worker")
SUPERVISOR = (sys.executable, "-m", "core.supervisor")
NICE = 5  # a busy worker leaves the dashboard its share: rerun p95 stays under a second
# Threads of a convolution wait for each other by spinning. Never spinning (OMP_WAIT_POLICY=PASSIVE) made training 1.5×
# slower, spinning at length made it many times slower whenever something else ran on one of the cores.
SPIN_BRIEFLY = {"GOMP_SPINCOUNT": "20000", "KMP_BLOCKTIME": "1"}
MEMORY_SHARE = 0.9  # of the machine's memory, as RLIMIT_DATA
IDENTITY_FILES = ("worker.json", "foreground.json", "supervisor.json", "dashboard.json")
START_LIMIT = 15.0  # seconds a supervisor may take to come up


@dataclass(frozen=True)
class Identity:
    """A process for good: a pid alone is used again after it ends, and after a restart of the machine."""

    pid: int
    start: float
    boot: str

    def to_json(self) -> str:
        """A sealed document, so that no damaged number is taken for another process."""
        return seal(json.dumps(asdict(self)).encode()).decode()


def identity(pid: int) -> Identity | None:
    """Who `pid` is, or None if there is no such process, or only its remains (a zombie)."""
    try:
        process = psutil.Process(pid)
        if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return None
        return Identity(pid, _start(process), boot())
    except psutil.Error:
        return None


def alive(who: Identity | None) -> bool:
    """Whether that very process still runs."""
    return who is not None and identity(who.pid) == who


def _start(process: psutil.Process) -> float:
    """Clock ticks since boot on Linux, which no change of the clock moves; else seconds since 1970."""
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return process.create_time()
    return float(stat.rpartition(")")[2].split()[19])


@cache
def boot() -> str:
    """Something that changes whenever the machine restarts."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    asked = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def read_identity(path: Path) -> Identity | None:
    """The identity written in a file such as worker.json, or None if there is none in it."""
    try:
        data = json.loads(read_sealed(path))
        return Identity(int(data["pid"]), float(data["start"]), str(data["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


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

    def give_run(self, run: Run) -> None:
        """Hands it a run for good: written down first, so that whoever comes after us finds who has it."""
        write_atomic(run.worker, self.who.to_json().encode())
        if run.log.exists():
            move(run.log, run.folder / f"log-{time.time_ns()}.txt")
        if self.log.exists():
            move(self.log, run.log)
        self._tell({"run": str(run.folder)})
        self.dismiss()

    def give_job(self, job: Job) -> None:
        """Hands it a job; more may follow when that one is done."""
        write_atomic(job.worker, self.who.to_json().encode())
        self._tell({"job": str(job.folder)})

    def dismiss(self) -> None:
        """Closes its stdin: it ends after what it is doing."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def _tell(self, message: dict[str, str]) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died meanwhile: whoever watches it will tell
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()


def start_worker(logs: Path, command: tuple[str, ...] = WORKER) -> Worker:
    """Starts a worker in its own session, nicer than the dashboard and, on Linux, with a limit on its memory.

    The limit is RLIMIT_DATA, what the process may write to: importing torch takes 0.9 GB of it, against 3.5 GB of
    RLIMIT_AS, most of which is never touched (CUDA reserves far more still). An allocation over it fails inside the
    worker, which can say so; without it the kernel kills.
    """
    log = make_folder(logs) / f"{secrets.token_hex(8)}.txt"
    environment = {
        **os.environ,
        **SPIN_BRIEFLY,
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    with open_log(log) as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
    _limit(process.pid)
    who = identity(process.pid) or Identity(process.pid, 0.0, boot())  # dead already: alive() says no
    return Worker(process, who, log)


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


def end(who: Identity, *, kill: bool = False) -> None:
    """SIGTERM, or SIGKILL, to a worker and the processes it started, which share its session."""
    if not alive(who):
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(who.pid, signal.SIGKILL if kill else signal.SIGTERM)


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

    Raises RuntimeError with the end of its log if it does not come up.
    """
    running = supervisor(workspace)
    if running is not None:
        return running
    log = workspace.path / "supervisor.log"
    with open_log(log) as output:
        process = subprocess.Popen(
            (*command, str(workspace.path), *worker),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,
        )
    Thread(target=process.wait, daemon=True).start()  # reaps it when it ends, also if another one was faster
    until = time.monotonic() + START_LIMIT
    while time.monotonic() < until:
        running = supervisor(workspace)
        if running is not None:
            return running
        time.sleep(0.02)
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"the supervisor of {workspace.path} did not start:\n{tail}")


def supervisor(workspace: Workspace) -> Identity | None:
    """The supervisor that looks after the workspace now, if any."""
    who = read_identity(workspace.path / "supervisor.json")
    return who if alive(who) else None


def stop_supervisor(workspace: Workspace, limit: float = 10.0) -> bool:
    """Ends the supervisor and its spare; a running worker goes on and is adopted later. False if none ran."""
    who = supervisor(workspace)
    if who is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(who.pid, signal.SIGTERM)
    until = time.monotonic() + limit
    while alive(who):
        if time.monotonic() > until:
            with suppress(ProcessLookupError):
                os.kill(who.pid, signal.SIGKILL)
        time.sleep(0.02)
    return True
