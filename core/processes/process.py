"""Starting, awaiting and ending a process: one way for workers, the supervisor and the dashboard."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TypeVar

from core.files import PRIVATE_UMASK, open_log
from core.processes.identity import Identity, alive, boot, identity

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.02  # seconds

T = TypeVar("T")


def spawn(
    command: tuple[str, ...], log: Path, environment: Mapping[str, str] = os.environ, *, piped: bool = False
) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own, so that no Ctrl-C reaches it; what it prints is added to `log`.

    Its stdin is a pipe where `piped`, else empty. Raises OSError where the log cannot be written or nothing started.
    """
    with open_log(log) as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            umask=PRIVATE_UMASK,
        )


def reap(process: subprocess.Popen[bytes]) -> None:
    """Collects the exit code whenever the process ends, so that no zombie remains of one that nobody waits for."""
    Thread(target=process.wait, daemon=True).start()


def started(process: subprocess.Popen[bytes]) -> Identity:
    """Who a process is that was just started; `alive` says no of one that has ended already."""
    return identity(process.pid) or Identity(process.pid, 0.0, boot())


def wait(ready: Callable[[], T], limit: float, going: Callable[[], bool] = lambda: True) -> T | None:
    """The first true answer of `ready`, asked for `limit` seconds, at least once, and while `going`; else None."""
    until = time.monotonic() + limit
    while going():
        if found := ready():
            return found
        if time.monotonic() > until:
            break
        time.sleep(POLL)
    return None


def end(who: Identity, *, kill: bool = False) -> None:
    """SIGTERM, or SIGKILL, to a process and, where it leads a session, to those that it started; returns at once."""
    if not alive(who):
        return
    with suppress(ProcessLookupError, PermissionError):
        signum = signal.SIGKILL if kill else signal.SIGTERM
        if os.getpgid(who.pid) == who.pid:
            os.killpg(who.pid, signum)
        else:
            os.kill(who.pid, signum)


def stop(who: Identity, limit: float) -> None:
    """Ends a process and returns when it has ended: SIGTERM, and SIGKILL after `limit` seconds."""
    end(who)
    until = time.monotonic() + limit
    while alive(who):
        if time.monotonic() > until:
            end(who, kill=True)
        time.sleep(POLL)
