"""A pool of child processes that turn untrusted image files into clean ones, and are killed at a limit.

The limit counts the child's processor time, see `core.engine.confined_child`. A child that stops or crashes gets a
second try, because the machine may have been the cause.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from core.engine.confined_child import GLANCE, STILL, Conversation, StoppedError, end_child, start_child
from core.engine.data.imports.depth import WHITE, Deep

WHOLE = 2**32  # of `Decoder.view`, as the child has it
SECONDS = 20.0  # of processor time for one image: 49 megapixels of noise take 1.2 as PNG, 0.8 as JPEG
TRIES = 2
CHILD = Path(__file__).with_name("decoder_child.py")
MOST_CHILDREN = 4
PER_CHILD = 64  # images that make another child worth its 0.2 s start


@dataclass(frozen=True)
class Decoded:
    """A clean image: `file` is its content hash with a suffix, `pixels` the hash of its pixels, `notes` what was
    done."""

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


Answer = Decoded | Deep | Unreadable


class Decoder:
    """One child process; after a crash or at the limit the next image gets a new one."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._taking = Lock()  # whoever stops listening closes it from another thread, amid an image

    def decode(self, data: bytes, white: int = WHITE) -> Answer:
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
        child = self._child = self._child or start_child(CHILD, OPENBLAS_NUM_THREADS="1")
        talk = Conversation(child, SECONDS, STILL, GLANCE)
        talk.write(b"".join(number.to_bytes(8, "little") for number in (white, side, len(data))))
        talk.write(data)
        return json.loads(talk.read_part()), talk.read_part()

    def close(self) -> None:
        """Kills the child process, if there is one."""
        with self._taking:
            child, self._child = self._child, None  # before it ends: a second try may begin a new one meanwhile
        if child is not None:
            end_child(child)


def _decoded(facts: dict[str, Any], data: bytes) -> Decoded:
    return Decoded(**{**facts, "notes": tuple(facts["notes"])}, data=data)


def decode_all(files: Iterable[tuple[str, bytes]], count: int, white: int = WHITE) -> Iterator[tuple[str, Answer]]:
    """(name, answer) in the order of `files` (name, content); the number of children depends on cores and `count`."""
    workers = max(1, min(os.cpu_count() or 1, MOST_CHILDREN, count // PER_CHILD))
    decoders = [Decoder() for _ in range(workers)]
    free: SimpleQueue[Decoder] = SimpleQueue()
    for decoder in decoders:
        free.put(decoder)

    def one(data: bytes) -> Answer:
        decoder = free.get()
        try:
            return decoder.decode(data, white)
        finally:
            free.put(decoder)

    try:
        yield from _in_order(files, one, decoders)
    finally:
        for decoder in decoders:  # one that was closed amid an image has begun its second try with a new child
            decoder.close()


def _in_order(
    files: Iterable[tuple[str, bytes]], one: Callable[[bytes], Answer], decoders: Sequence[Decoder]
) -> Iterator[tuple[str, Answer]]:
    """Answers of threads, one for each decoder; whoever stops listening does not wait for the images under way."""
    waiting: deque[tuple[str, Future[Answer]]] = deque()
    with ThreadPoolExecutor(len(decoders)) as pool:
        try:
            for name, data in files:
                waiting.append((name, pool.submit(one, data)))
                if len(waiting) > 2 * len(decoders):
                    first, answer = waiting.popleft()
                    yield first, answer.result()
            for name, future in waiting:
                yield name, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
            for decoder in decoders:
                decoder.close()
