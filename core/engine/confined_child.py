"""Questions to a child process that opens untrusted files, over pipes, limited by the child's own processor time.

Processor time depends on the content only: on a busy machine, where a child waits long for its turn, the same files are
read as on an idle one. A child that computes nothing for long, although nothing keeps it from doing so, has stopped.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

STILL = 120.0  # seconds that a child may sleep while it owes an answer
GLANCE = 0.5  # seconds between two checks of a child that has not answered
INHERITED = ("PATH", "LANG", "SYSTEMROOT")  # environment variables that a child gets
LENGTH = 8  # bytes of a length, little-endian


class StoppedError(Exception):
    """The child sleeps instead of answering."""


def start_child(script: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Starts `script` isolated (`python -I`), with hardly any environment variables but `environment`, and with
    pipes."""
    inherited = {key: value for key, value in os.environ.items() if key in INHERITED}
    return subprocess.Popen(
        [sys.executable, "-I", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**inherited, **environment},
        bufsize=0,
    )


def end_child(child: subprocess.Popen[bytes]) -> None:
    """Kills the child and closes its pipes."""
    child.kill()
    child.communicate()


@dataclass
class Conversation:
    """Questions to a child and its answers.

    Every call raises TimeoutError once the child has computed for more than `seconds` since the conversation began,
    StoppedError if it sleeps for more than `still` seconds, EOFError or BrokenPipeError if it has ended, and whatever
    `check` raises, which is called again and again while one waits.
    """

    child: subprocess.Popen[bytes]
    seconds: float
    still: float = STILL
    glance: float = GLANCE
    check: Callable[[], None] = lambda: None
    process: psutil.Process = field(init=False)
    began: float = field(init=False)  # processor seconds of the child at the beginning
    seen: float = field(init=False)  # and when it was last seen at work
    awake: float = field(init=False)  # when that was

    def __post_init__(self) -> None:
        try:
            self.process = psutil.Process(self.child.pid)
        except psutil.NoSuchProcess as error:
            raise EOFError from error
        self.began = self.seen = self._computed()
        self.awake = time.monotonic()

    def write(self, data: bytes) -> None:
        """Sends bytes to the child, which until now owed nothing or is still reading."""
        assert self.child.stdin is not None
        self.awake = time.monotonic()
        pipe, rest = self.child.stdin.fileno(), memoryview(data)
        os.set_blocking(pipe, False)
        while rest:
            self.check()
            if select.select([], [pipe], [], self.glance)[1]:
                rest = rest[os.write(pipe, rest) :]
            else:
                self._look()

    def write_part(self, data: bytes) -> None:
        """Sends the length of `data`, then `data`."""
        self.write(len(data).to_bytes(LENGTH, "little") + data)

    def read_part(self, most: int | None = None) -> bytes:
        """The next part of the answer, which follows its length; raises ValueError if it is longer than `most`
        bytes."""
        length = int.from_bytes(self._read(LENGTH), "little")
        if most is not None and length > most:
            raise ValueError(f"an answer of {length} bytes, where at most {most} were expected")
        return self._read(length)

    def _read(self, size: int) -> bytes:
        assert self.child.stdout is not None
        pipe, parts = self.child.stdout.fileno(), bytearray()
        while len(parts) < size:
            self.check()
            if not select.select([pipe], [], [], self.glance)[0]:
                self._look()
                continue
            piece = os.read(pipe, min(size - len(parts), 2**20))
            if not piece:
                raise EOFError
            parts += piece
        return bytes(parts)

    def _look(self) -> None:
        computed = self._computed()
        if computed - self.began > self.seconds:
            raise TimeoutError
        if computed > self.seen or self._waits_for_its_turn():
            self.seen, self.awake = computed, time.monotonic()
        elif time.monotonic() - self.awake > self.still:
            raise StoppedError

    def _computed(self) -> float:
        with suppress(psutil.NoSuchProcess):
            times = self.process.cpu_times()
            return times.user + times.system
        return 0.0  # it has ended: its pipe says so

    def _waits_for_its_turn(self) -> bool:
        """Whether it waits for a core, or for the machine to read its memory from the disk."""
        with suppress(psutil.NoSuchProcess):
            return self.process.status() in (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP, psutil.STATUS_WAKING)
        return False
