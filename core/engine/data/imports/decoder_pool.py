"""Decoders at work: child processes that turn a person's image files into clean ones, and are killed at a limit.

The limit counts the processor time of the child, which the image alone decides: a busy machine, where a child waits
long for its turn, reads the same images as an idle one. A child that computes nothing for long, though nothing keeps it
from doing so, has stopped; it and one that crashes get a second try, since the machine may have been the cause.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil

from core.engine.data.imports.depth import WHITE, Deep

WHOLE = 2**32  # of `Decoder.view`, as the child has it
SECONDS = 20.0  # of processor time for one image: 49 megapixels of noise take 1.2 as PNG, 0.8 as JPEG
STILL = 120.0  # seconds that a child may sleep in the middle of an image
GLANCE = 0.5  # seconds between two looks at a child that has not answered
TRIES = 2
CHILD = Path(__file__).with_name("decoder_child.py")
MOST_CHILDREN = 4
PER_CHILD = 64  # images that make another child worth its 0.2 s start


@dataclass(frozen=True)
class Decoded:
    """A clean image: `file` is its content hash and suffix, `pixels` the hash of its pixels, `notes` what was done."""

    kind: str
    width: int
    height: int
    channels: int
    pixels: str
    file: str
    notes: tuple[str, ...]
    data: bytes


@dataclass(frozen=True)
class View:
    """An image as it is, upright: `mode` L or RGB, and its pixels row by row."""

    mode: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True)
class Unreadable:
    """Why an image was skipped."""

    reason: str


class StoppedError(Exception):
    """A child that sleeps instead of decoding."""


class Decoder:
    """One child process; after a crash or at the limit the next image gets a fresh one."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def decode(self, data: bytes, white: int = WHITE) -> Decoded | Deep | Unreadable:
        """The clean image; `white` is what counts as white in 16 bits, and 0 asks what such an image holds."""
        answer = self._tried(data, white, 0)
        if isinstance(answer, Unreadable):
            return answer
        facts, clean = answer
        return Deep(**facts) if "peak" in facts else _decoded(facts, clean)

    def view(self, data: bytes, side: int, white: int = WHITE) -> View | Unreadable:
        """The image upright with 8 bits, not shrunk; a JPEG may come at 1/2, 1/4 or 1/8 where that leaves `side`
        pixels, WHOLE: never."""
        answer = self._tried(data, white, side)
        return answer if isinstance(answer, Unreadable) else View(**answer[0], data=answer[1])

    def _tried(self, data: bytes, white: int, side: int) -> tuple[dict[str, Any], bytes] | Unreadable:
        reason = ""
        for _ in range(TRIES):
            try:
                facts, clean = self._asked(data, white, side)
                return Unreadable(facts["reason"]) if "reason" in facts else (facts, clean)
            except TimeoutError:
                self.close()
                return Unreadable(f"takes over {SECONDS:g} seconds of processor time to decode")
            except StoppedError:
                reason = f"stops the decoder: it did nothing for {STILL:g} seconds, twice"
            except (BrokenPipeError, EOFError):
                reason = "breaks the decoder"
            self.close()
        return Unreadable(reason)

    def _asked(self, data: bytes, white: int, side: int) -> tuple[dict[str, Any], bytes]:
        child = self._child = self._child or _start()
        talk = _Talk(child)
        talk.write(b"".join(number.to_bytes(8, "little") for number in (white, side, len(data))))
        talk.write(data)
        return json.loads(talk.read_part()), talk.read_part()

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def _start() -> subprocess.Popen[bytes]:
    environment = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "SYSTEMROOT")}
    return subprocess.Popen(
        [sys.executable, "-I", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**environment, "OPENBLAS_NUM_THREADS": "1"},
        bufsize=0,
    )


@dataclass
class _Talk:
    """One image given to a child and its answer. Raises TimeoutError where the child has computed for too long,
    StoppedError where it sleeps, EOFError and BrokenPipeError where it has ended."""

    child: subprocess.Popen[bytes]
    process: psutil.Process = field(init=False)
    began: float = field(init=False)  # seconds that the child had computed before
    seen: float = field(init=False)  # and had when it was last seen at work
    awake: float = field(init=False)  # when that was

    def __post_init__(self) -> None:
        try:
            self.process = psutil.Process(self.child.pid)
        except psutil.NoSuchProcess as error:
            raise EOFError from error
        self.began = self.seen = self._computed()
        self.awake = time.monotonic()

    def write(self, data: bytes) -> None:
        assert self.child.stdin is not None
        pipe, rest = self.child.stdin.fileno(), memoryview(data)
        os.set_blocking(pipe, False)
        while rest:
            if select.select([], [pipe], [], GLANCE)[1]:
                rest = rest[os.write(pipe, rest) :]
            else:
                self._look()

    def read_part(self) -> bytes:
        return self._read(int.from_bytes(self._read(8), "little"))

    def _read(self, size: int) -> bytes:
        assert self.child.stdout is not None
        pipe, parts = self.child.stdout.fileno(), bytearray()
        while len(parts) < size:
            if not select.select([pipe], [], [], GLANCE)[0]:
                self._look()
                continue
            piece = os.read(pipe, min(size - len(parts), 2**20))
            if not piece:
                raise EOFError
            parts += piece
        return bytes(parts)

    def _look(self) -> None:
        computed = self._computed()
        if computed - self.began > SECONDS:
            raise TimeoutError
        if computed > self.seen or self._waits_for_its_turn():
            self.seen, self.awake = computed, time.monotonic()
        elif time.monotonic() - self.awake > STILL:
            raise StoppedError

    def _computed(self) -> float:
        with suppress(psutil.NoSuchProcess):
            times = self.process.cpu_times()
            return times.user + times.system
        return 0.0  # it has ended: its pipe says so

    def _waits_for_its_turn(self) -> bool:
        """For a core, or for the machine to read its memory from the disk."""
        with suppress(psutil.NoSuchProcess):
            return self.process.status() in (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP, psutil.STATUS_WAKING)
        return False


def _decoded(facts: dict[str, Any], data: bytes) -> Decoded:
    return Decoded(**{**facts, "notes": tuple(facts["notes"])}, data=data)


def decode_all(
    files: Iterable[tuple[str, bytes]], count: int, white: int = WHITE
) -> Iterator[tuple[str, Decoded | Deep | Unreadable]]:
    """(name, answer) in the order of `files` (name, content), by as many children as cores and `count` are worth."""
    workers = max(1, min(os.cpu_count() or 1, MOST_CHILDREN, count // PER_CHILD))
    decoders = [Decoder() for _ in range(workers)]
    free: SimpleQueue[Decoder] = SimpleQueue()
    for decoder in decoders:
        free.put(decoder)

    def one(data: bytes) -> Decoded | Deep | Unreadable:
        decoder = free.get()
        try:
            return decoder.decode(data, white)
        finally:
            free.put(decoder)

    waiting: deque[tuple[str, Future[Decoded | Deep | Unreadable]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for name, data in files:
                waiting.append((name, pool.submit(one, data)))
                if len(waiting) > 2 * workers:
                    first, answer = waiting.popleft()
                    yield first, answer.result()
            for name, future in waiting:
                yield name, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
            for decoder in decoders:
                decoder.close()
