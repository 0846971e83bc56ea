"""The lasting identity of a process, and the process that holds a lock, as reported by the kernel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil

from core.storage.sealed import read_sealed, seal

LOCKS = Path("/proc/locks")
LARGEST_PID = 2**31 - 1


@dataclass(frozen=True)
class Identity:
    """Identifies one process: pids are reused, so the start time and the boot of the machine are part of it."""

    pid: int
    start: float
    boot: str

    def to_json(self) -> str:
        """A sealed document, so that a damaged number cannot name another process."""
        return seal(json.dumps(asdict(self)).encode()).decode()


def identity(pid: int) -> Identity | None:
    """The identity of `pid`; None if there is no such process, or only a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return None
        return Identity(pid, _start(process), boot())
    except psutil.Error:
        return None


def alive(who: Identity | None) -> bool:
    """Whether exactly this process still runs."""
    return who is not None and identity(who.pid) == who


def _start(process: psutil.Process) -> float:
    """Clock ticks since boot on Linux, which changes of the clock do not affect; otherwise seconds since 1970."""
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return process.create_time()
    return float(stat.rpartition(")")[2].split()[19])


@cache
def boot() -> str:
    """A text that changes with every restart of the machine."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError):
        asked = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
        return asked.stdout.strip()
    return ""


def read_identity(path: Path) -> Identity | None:
    """The identity stored in a file such as worker.json; None if the file is missing or damaged."""
    try:
        data = json.loads(read_sealed(path))
        found = Identity(int(data["pid"]), float(data["start"]), str(data["boot"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return found if 0 < found.pid <= LARGEST_PID else None


def holder(path: Path) -> int | None:
    """The process that holds `flock` on the file `path`; None if none does, or if the system does not tell.

    A lock outlives the process that took it if another process inherited the open file: that one is then returned.
    """
    try:
        stat = path.stat()
        lines = LOCKS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    device = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}"
    found = [(place == device, pid) for pid, place, inode in map(_flock, lines) if inode == stat.st_ino]
    if not found:
        return None
    pid = max(found)[1]  # overlay file systems may report another device number: then the inode decides
    return pid if pid > 0 and psutil.pid_exists(pid) else next(_openers(path), None)


def _flock(line: str) -> tuple[int, str, int]:
    """Pid, device and inode in a line such as `3: FLOCK  ADVISORY  WRITE 711 fe:00:2146852 0 EOF`; waiting processes
    (`->`) and other kinds of lock give inode −1."""
    words = line.split()
    if len(words) < 6 or words[1] != "FLOCK" or words[5].count(":") != 2:
        return 0, "", -1
    device, _, inode = words[5].rpartition(":")
    return int(words[4]), device, int(inode)


def _openers(path: Path) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(os.path.samefile(link, path) for link in (process / "fd").iterdir() if _is_at(link, path)):
                yield int(process.name)


def _is_at(link: Path, path: Path) -> bool:
    with suppress(OSError):
        return os.readlink(link) == str(path.resolve())
    return False


def command_of(pid: int) -> list[str]:
    """The command line of a process; empty if there is none, or if we may not read it."""
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.Error, ValueError, OverflowError):
        return []


def described(pid: int | None) -> str:
    """A process in words: `process 711 (flock w/supervisor.lock sleep 9)`."""
    if pid is None:
        return "another process"
    command = " ".join(command_of(pid))
    return f"process {pid} ({command[:80]})" if command else f"process {pid}"
