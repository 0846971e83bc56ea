"""A second process of a run, which makes controls while the first goes on with the steps.

Only the first process writes the run's events: the second tells it each of them over a pipe. Orders and replies are
lines of JSON; see `beside_child`. What the second process does not finish, for whatever reason, the first does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Condition, Thread

import psutil

from core.events import Event, Warned, parse
from core.files import make_folder, open_log
from core.runs import Run

ROOT = Path(__file__).resolve().parents[3]
COMMAND = (sys.executable, "-m", "core.engine.pipeline.beside_child")
WAIT = 0.05  # seconds between two checks of whether a person asked to stop
LEAVE = 10.0  # seconds to end after the batch with a checkpoint
LEAVE_CANCELLED = 1.0  # the supervisor ends a cancelled run after two
ROOM = 1.5  # times the memory of this process must be free for a second one


@dataclass(frozen=True)
class Control:
    """A control to be made: of a step (from 0), for a seed, by its code; `early` while the step itself goes on, so that
    it cannot be measured yet."""

    seed: int
    step: int
    code: str
    early: bool = False


class Beside:
    """The second process, seen from the first. It is started when first needed; if it dies, it stays away."""

    def __init__(self, run: Run, command: tuple[str, ...] = COMMAND) -> None:
        self.run = Run(run.folder)  # of its own: a thread writes with it
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = Condition()
        self._waiting: list[Control] = []
        self._alone: list[Control] = []  # for the first process only
        self._now: Control | None = None
        self._ready = self._over = self._leaving = False
        self._error: Exception | None = None

    def start(self) -> None:
        """Starts the process unless it was started before, or memory is too short for it."""
        if self._process is not None or not _is_room():
            return
        with open_log(make_folder(self.run.folder) / "beside.txt") as log:
            self._process = subprocess.Popen(
                (*self.command, str(self.run.folder)),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def offer(self, controls: Iterable[Control], *, shared: bool = True) -> None:
        """Adds controls to be made; those that are not `shared` wait for the first process. Early ones that were not
        begun are replaced."""
        with self._changed:
            for control in controls:
                early = replace(control, early=True)
                self._waiting = [one for one in self._waiting if one != early]
                (self._waiting if shared else self._alone).append(control)
            self._give()

    def take(self) -> Control | None:
        """The next control that nobody has begun, for the first process; None if there is none. Raises what kept the
        other process's events from being written."""
        with self._changed:
            self._raise()
            for waiting in (self._waiting, self._alone):
                for control in waiting:
                    if not control.early and replace(control, early=True) != self._now:
                        waiting.remove(control)
                        return control
            return None

    def wait(self, check: Callable[[], object]) -> bool:
        """Waits until the control in progress is done or given up; False if there is none, and none is left to begin.
        `check` is called meanwhile, and may raise."""
        began = self._now
        while began is not None:
            check()
            with self._changed:
                self._raise()
                if self._now is not began:
                    return True
                self._changed.wait(WAIT)
        return bool(self._waiting or self._alone)

    def close(self) -> None:
        """Ends the process: after its batch, with a checkpoint, if it is at work."""
        process, self._leaving = self._process, True
        if process is None:
            return
        assert process.stdin is not None
        if self._now is not None:
            with suppress(OSError):  # it may have ended
                process.stdin.write(b'{"stop": true}\n')
                process.stdin.flush()
            with suppress(subprocess.TimeoutExpired):
                process.wait(LEAVE_CANCELLED if self.run.cancel_requested() else LEAVE)
        process.kill()
        with self._changed:
            self._changed.wait_for(lambda: self._over, LEAVE)  # its last events are written
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()

    # the thread that listens

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        why = ""
        try:
            for line in process.stdout:
                if line.endswith(b"\n"):  # otherwise cut off by its death
                    self._hear(json.loads(line))
        except ValueError as error:
            why = f"The second process of this run was ended because it was not understood: {error}."
            process.kill()
        except Exception as error:  # noqa: BLE001  (mostly the disk's: the run's own thread raises it)
            self._error = None if self._leaving else error
            process.kill()
        code = process.wait()
        with self._changed:
            if self._now is not None and not self._now.early:
                self._waiting.insert(0, self._now)
            self._waiting = [one for one in self._waiting if not one.early]
            self._now, self._ready, self._over = None, False, True
            self._changed.notify_all()
        if code < 0 and not self._leaving and self._error is None:
            ended = f"ended from outside (signal {-code}), perhaps for lack of memory"
            why = why or f"The second process of this run was {ended}."
            why += " Its control goes on in the first one; the result is the same."
            with suppress(OSError):
                self.run.emit(Warned(None, "beside_ended", why))

    def _hear(self, told: dict[str, object]) -> None:
        """One line of the other process: an event, that it is ready, or that its control is done."""
        if "event" in told:
            self.run.emit(_event(told["event"]))
            return
        with self._changed:
            self._ready, self._now = True, None
            self._give()
            self._changed.notify_all()

    def _give(self) -> None:
        """Gives the process the next control, if it is free; the caller holds the condition."""
        process = self._process
        if process is None or not self._ready or self._now is not None or not self._waiting or self._leaving:
            return
        assert process.stdin is not None
        self._now = self._waiting.pop(0)
        with suppress(OSError):  # it has ended: the listening thread puts the control back
            process.stdin.write(json.dumps(asdict(self._now)).encode() + b"\n")
            process.stdin.flush()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def _event(line: object) -> Event:
    if not isinstance(line, str):
        raise ValueError(f"no event: {line!r}")
    return parse(line)


def _is_room() -> bool:
    """Whether the memory for a second process like this one is free."""
    return psutil.virtual_memory().available > ROOM * psutil.Process().memory_info().rss
