"""Decoders at work: child processes that turn a person's image files into clean ones, killed after five seconds."""

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
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from core.engine.data.imports.depth import WHITE, Deep

SECONDS = 5.0
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
class Unreadable:
    """Why an image was skipped."""

    reason: str


class Decoder:
    """One child process; after a crash or a time-out the next image gets a fresh one."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def decode(self, data: bytes, white: int = WHITE) -> Decoded | Deep | Unreadable:
        """The clean image; `white` is what counts as white in 16 bits, and 0 asks what such an image holds."""
        child = self._child = self._child or _start()
        assert child.stdin is not None
        try:
            child.stdin.write(white.to_bytes(8, "little") + len(data).to_bytes(8, "little"))
            child.stdin.write(data)
            child.stdin.flush()
            deadline = time.monotonic() + SECONDS
            facts = json.loads(_read_part(child, deadline))
            clean = _read_part(child, deadline)
        except TimeoutError:
            self.close()
            return Unreadable(f"takes over {SECONDS:g} seconds to decode")
        except (BrokenPipeError, EOFError):
            self.close()
            return Unreadable("breaks the decoder")
        if "reason" in facts:
            return Unreadable(facts["reason"])
        return Deep(**facts) if "peak" in facts else _decoded(facts, clean)

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
    )


def _read_part(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    return _read(child, int.from_bytes(_read(child, 8, deadline), "little"), deadline)


def _read(child: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
    assert child.stdout is not None
    pipe, parts = child.stdout.fileno(), b""
    while len(parts) < size:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        piece = os.read(pipe, min(size - len(parts), 2**20))
        if not piece:
            raise EOFError
        parts += piece
    return parts


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
