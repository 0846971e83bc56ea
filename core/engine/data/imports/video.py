"""Import of a video: its frames, one in some seconds, become a set without labels. PyAV reads it, in a child process.

A video is recognised by its first bytes, and its container is told to FFmpeg: nothing is guessed, and no other file or
address that a hostile one names is opened.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.engine.confined_child import GLANCE, STILL, Conversation, StoppedError, end_child, start_child
from core.engine.data.imports.class_folders import UNLABELLED, Arrangement
from core.engine.data.imports.cleaning import Filled
from core.engine.data.imports.decoder_pool import Decoded
from core.engine.data.imports.file_type import HEAD, kind_of
from core.engine.data.imports.images import Delivery, check_shape, checked_name, silent, store
from core.engine.data.imports.unlabelled import LEAST
from core.engine.data.photos import Progress
from core.errors import Choice, UserError
from core.questions.import_data import Imported

CHILD = Path(__file__).with_name("video_child.py")
EVERY = 1.0  # seconds
SUFFIX = "mp4"
BOUNDS = (0.01, 3600.0)  # seconds between two frames
MOST_FRAMES = 20_000
SHORT, SHORT_SHARE = 1.0, 0.05  # what may be missing at the end without a word: seconds, share of the duration
SECONDS = 3600.0  # of the child's processor time
MOST_ANSWER = 64 * 2**20  # bytes of a frame
CONTAINERS = "MP4, MOV, MKV, WebM or AVI"
REASONS: Mapping[str, str] = {  # code of the child: what was found
    "broken": "it is damaged, or no video that can be decoded",
    "no_video": "it holds no moving picture",
    "pixels": "its frames have more than 50 megapixels",
    "memory": "it needs more memory than a video may take",
}


def container_of(head: bytes) -> str:
    """FFmpeg's name of the container with these first bytes; empty if it is none of those read."""
    if head[4:8] == b"ftyp":
        return "mov" if kind_of(head) == "video" else ""
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    return "avi" if head[:4] == b"RIFF" and head[8:12] == b"AVI " else ""


def is_video(path: Path) -> bool:
    """Whether the file is a video by its first bytes."""
    return bool(_container(path))


def _container(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return container_of(file.read(HEAD))
    except OSError:  # a folder, or it cannot be read: whoever reads it reports that
        return ""


def import_video(
    path: Path, name: str, folder: Path, *, every: float = EVERY, shape: str = "crop", progress: Progress | None = None
) -> Imported:
    """Imports one frame in `every` seconds of the video at `path` as the unlabelled dataset `name` in `folder`. Raises
    UserError if it is refused; `folder` is then as it was."""
    check_shape(shape)
    name = checked_name(name, folder)
    readable(every)
    delivery = Delivery(Arrangement(), [], [], shape=shape, unlabelled=True)

    def fill(place: Path) -> Filled:
        filled = frames(path, every, place, progress or silent)
        _require_different(filled, every)
        return filled

    return store(name, folder, delivery, fill)


def _require_different(filled: Filled, every: float) -> None:
    count = len({frame.file for frame in filled.images.values()})
    if count < LEAST:
        given = f"{every:g}: frames that differ: {count}"
        fix = "Take more frames, with fewer seconds between two."
        raise UserError("too_few_images", "every", given, f"at least {LEAST} frames that differ", fix)


def readable(every: float) -> None:
    """Raises UserError where a video could not be read here, or `every` is no time between two frames."""
    least, most = BOUNDS
    if not (math.isfinite(every) and least <= every <= most):
        fix = "The usual is 1: one frame in a second."
        raise UserError("out_of_range", "every", every, f"a number of seconds from {least:g} to {most:g}", fix)
    _library()


def frames(path: Path, every: float, place: Path, report: Progress) -> Filled:
    """One frame in `every` seconds of the video, written into `place`; its warning counts them. Raises UserError."""
    video = _Frames(path, every, _library(), report)
    found = video.into(place)
    taken = f"{len(found)} frames of {path.name}, one in {every:g} seconds"
    return Filled(found, warnings=[taken, *about(path.name, video.course)])


def about(name: str, course: Mapping[str, float]) -> Iterator[str]:
    """What of a video was not there, or not whole."""
    damaged, end, duration = (course.get(fact, 0) for fact in ("damaged", "end", "duration"))
    if damaged:
        yield f"damaged frames of {name}, which were left out: {damaged}"
    if duration - end > max(SHORT, SHORT_SHARE * duration):
        ends = f"the frames of {name} end after {end:.1f} seconds of the {duration:.1f} that it states"
        yield f"{ends}: it may be cut off"


def for_videos_alone(path: Path, every: float) -> None:
    """Raises UserError where `every` is set for something that is no video."""
    if every != EVERY:
        given = f"{every:g} for {path.name}"
        raise UserError("no_video", "every", given, "a video file", f"Leave it out, or give a video, such as {SUFFIX}.")


def without_classes(path: Path) -> UserError:
    """What to say where the frames of a video should have classes."""
    meaning = "its frames as images without labels"
    way = Choice({"unlabelled": True}, UNLABELLED, meaning, {})
    fix = f"Use {way.flags}: {meaning}, to adapt to or to distil on."
    return UserError("video_without_classes", "path", path.name, "images with classes", fix, choices=[way])


def _library() -> str:
    """The folder that PyAV is in; raises UserError if it is not installed."""
    found = find_spec("av")
    if found is None or found.origin is None:
        fix = "Install it with: pip install 'condenser[video]'. Or import single frames as images."
        raise UserError(
            "no_video_reader", "path", "a video, and PyAV is not installed", "a folder or zip of images", fix
        )
    return str(Path(found.origin).parents[1])


class _Frames:
    """The frames of one video, decoded in a child process, and its course once all were read."""

    def __init__(self, path: Path, every: float, library: str, report: Progress) -> None:
        self.path, self.every, self.library, self.report = path, every, library, report
        self.course: Mapping[str, float] = {}

    def into(self, place: Path) -> dict[str, Decoded]:
        """Each frame written once into `place`, by its name; raises UserError."""
        found: dict[str, Decoded] = {}
        stored: dict[str, str] = {}
        for facts, data in self._answers():
            frame = Decoded(**{**facts["image"], "notes": tuple(facts["image"]["notes"])}, data=b"")
            if frame.pixels not in stored:
                stored[frame.pixels] = frame.file
                (place / frame.file).write_bytes(data)
            found[f"{self.path.stem} {_clock(facts['time'])}.jpg"] = replace(frame, file=stored[frame.pixels])
            if len(found) > MOST_FRAMES:
                allowed = f"at most {MOST_FRAMES:,} frames"
                fix = f"Take fewer: set every above {self.every:g}, for example {2 * self.every:g}."
                raise UserError("too_many_frames", "every", f"{self.every:g}: more than {MOST_FRAMES:,}", allowed, fix)
            self.report("decoding", round(facts["time"]), round(facts["duration"]) or None)
        return found

    def _answers(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        child = start_child(CHILD, AV_HOME=self.library, OPENBLAS_NUM_THREADS="1")
        try:
            yield from self._spoken(child)
        except (EOFError, BrokenPipeError) as error:
            raise self._refused("it breaks the decoder") from error
        except TimeoutError as error:
            raise self._refused(f"it takes over {SECONDS / 60:g} minutes of processor time to decode") from error
        except (StoppedError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise self._refused("it stops the decoder") from error
        finally:
            end_child(child)

    def _spoken(self, child: subprocess.Popen[bytes]) -> Iterator[tuple[dict[str, Any], bytes]]:
        talk = Conversation(child, SECONDS, STILL, GLANCE, self._still_wanted)
        asked = {"path": str(self.path), "container": _container(self.path), "every": self.every}
        talk.write_part(json.dumps(asked).encode("utf-8", "surrogateescape"))
        while True:
            facts, data = json.loads(talk.read_part(MOST_ANSWER)), talk.read_part(MOST_ANSWER)
            if "refused" in facts:
                raise self._refused(REASONS.get(facts["refused"], REASONS["broken"]))
            if "image" not in facts:
                self.course = facts["course"]
                return
            yield facts, data

    def _still_wanted(self) -> None:
        self.report("reading the video", 0, None)

    def _refused(self, reason: str) -> UserError:
        fix = f"Save it again as {CONTAINERS} (H.264, H.265, VP9, AV1 …), or import single frames as images."
        return UserError("unreadable_video", "path", f"{self.path.name}: {reason}", "a video that can be decoded", fix)


def _clock(seconds: float) -> str:
    """A time as in 0:01:05.250."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:06.3f}"
