"""The child process that decodes a person's video, so that a hostile file meets no secrets and can be killed.

Started as a plain script (`python -I`), it imports PyAV and Pillow, and of ours the script `decoder_child` beside it,
which makes an image of a frame as of a file. It reads `length, JSON` (path, container, every) from its standard input
and answers `length, JSON, length, bytes` for every frame it takes, then once with the `Course` of the video; or with
the code of the reason why it cannot go on. Lengths are 8 bytes, little-endian. The file is read through an open file,
so that FFmpeg opens nothing else.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from PIL import Image

MEMORY = 4 * 2**30
MOST_PIXELS = 50_000_000


class Refused(ValueError):
    """A code for the reason why the video is refused."""


def images() -> ModuleType:
    """The script decoder_child as a module."""
    spec = importlib.util.spec_from_file_location("decoder_child", Path(__file__).with_name("decoder_child.py"))
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@dataclass
class Course:
    """How a video went: its damaged frames, and in seconds where its frames end and what it states as its duration (0:
    nothing)."""

    damaged: int = 0
    end: float = 0.0
    duration: float = 0.0


def frames(path: str, container: str, every: float, course: Course) -> Iterator[tuple[float, Image.Image]]:
    """(seconds from the first frame, image upright) of the first frame, and of the first one after each further `every`
    seconds, damaged ones left out; `course` is kept up to date. Raises Refused."""
    import av

    with open(path, "rb") as file:
        try:
            with av.open(file, format=container, options={"protocol_whitelist": "", "enable_drefs": "0"}) as video:
                yield from _taken(video, every, course)
        except av.error.FFmpegError as error:
            raise Refused("broken") from error


def _taken(video: Any, every: float, course: Course) -> Iterator[tuple[float, Image.Image]]:
    if not video.streams.video:
        raise Refused("no_video")
    stream = video.streams.video[0]
    if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
        raise Refused("pixels")
    stream.thread_type, stream.codec_context.thread_count = "NONE", 1
    course.duration = _duration(video, stream)
    first, due, taken = None, 0.0, 0
    for number, frame in enumerate(video.decode(stream)):
        if frame.width * frame.height > MOST_PIXELS:
            raise Refused("pixels")
        step = 1 / float(stream.average_rate or 25)
        time = frame.time if frame.time is not None else number * step
        first = time if first is None else first
        course.end, course.damaged = time - first + step, course.damaged + bool(frame.is_corrupt)
        if time - first >= due - 1e-6 and not frame.is_corrupt:
            due, taken = (int((time - first) / every + 1e-6) + 1) * every, taken + 1
            yield time - first, _upright(frame)
    if not taken:
        raise Refused("broken")


def _duration(video: Any, stream: Any) -> float:
    """Seconds: the stream's, or else those of all in the file; 0 where neither is stated."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float(video.duration or 0) / 1e6


def _upright(frame: Any) -> Image.Image:
    image: Image.Image = frame.to_image()
    turned = round(getattr(frame, "rotation", 0) or 0) % 360
    return image.rotate(turned, expand=True) if turned else image


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers one question."""
    asked = json.loads(source.read(int.from_bytes(source.read(8), "little")).decode("utf-8", "surrogateescape"))
    decoder = images()
    confine()
    course = Course()
    try:
        for time, image in frames(asked["path"], asked["container"], asked["every"], course):
            facts, data = decoder.stored(image, "JPEG", [])
            _answer(sink, {"image": facts, "time": time, "duration": course.duration}, data)
        _answer(sink, {"course": asdict(course)})
    except Refused as reason:
        _answer(sink, {"refused": str(reason)})
    except MemoryError:
        _answer(sink, {"refused": "memory"})
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError):
        _answer(sink, {"refused": "broken"})


def _answer(sink: BinaryIO, facts: dict[str, Any], data: bytes = b"") -> None:
    for part in (json.dumps(facts).encode(), data):
        sink.write(len(part).to_bytes(8, "little"))
        sink.write(part)
    sink.flush()


def confine() -> None:
    """Limits this process: memory, no bytes written to files, no other process."""
    limits = {resource.RLIMIT_AS: MEMORY, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_NPROC: 0}
    for limit, value in limits.items():
        with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(limit, (value, value))


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # standard output is the protocol, and nobody reads standard error
    sys.path.append(os.environ["AV_HOME"])
    serve(sys.stdin.buffer, sys.stdout.buffer)
