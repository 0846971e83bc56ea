"""Starting, waiting for and ending processes: shared by workers, the supervisor and the dashboard."""

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
    """Starts `command` in a session of its own, so that Ctrl-C does not reach it; its output is appended to `log`.

    Its stdin is a pipe if `piped`, otherwise empty. Raises OSError if the log cannot be written or the start fails.
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
    """Collects the exit code when the process ends, so that no zombie remains."""
    Thread(target=process.wait, daemon=True).start()


def started(process: subprocess.Popen[bytes]) -> Identity:
    """The identity of a process that was just started; if it has already ended, `alive` is False for it."""
    return identity(process.pid) or Identity(process.pid, 0.0, boot())


def wait(ready: Callable[[], T], limit: float, going: Callable[[], bool] = lambda: True) -> T | None:
    """Calls `ready` until it returns something true, and returns that; None after `limit` seconds or once `going` is
    False."""
    until = time.monotonic() + limit
    while going():
        if found := ready():
            return found
        if time.monotonic() > until:
            break
        time.sleep(POLL)
    return None


def end(who: Identity, *, kill: bool = False) -> None:
    """Sends SIGTERM, or SIGKILL, to a process and, if it leads a session, to its children; returns at once."""
    if not alive(who):
        return
    with suppress(ProcessLookupError, PermissionError):
        signum = signal.SIGKILL if kill else signal.SIGTERM
        if os.getpgid(who.pid) == who.pid:
            os.killpg(who.pid, signum)
        else:
            os.kill(who.pid, signum)


def stop(who: Identity, limit: float) -> None:
    """Ends a process and waits for its end: SIGTERM, and SIGKILL after `limit` seconds."""
    end(who)
    until = time.monotonic() + limit
    while alive(who):
        if time.monotonic() > until:
            end(who, kill=True)
        time.sleep(POLL)
