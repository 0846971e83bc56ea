"""The events of a run: a closed set of immutable records, each one line of JSON with its checksum."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, get_args
from zlib import crc32

from pydantic import BeforeValidator, ConfigDict, JsonValue, TypeAdapter
from pydantic.dataclasses import dataclass

from core.points import Point
from core.statistics.chance import Chance

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Work = Literal["downloading", "training", "features", "teacher", "calibrating", "measuring", "exporting"]
Role = Literal["point", "control", "replica"]
SEAL = len('{"crc":"01234567",')


def _whole(text: object) -> object:
    return text.encode(errors="replace").decode() if isinstance(text, str) else text


Utf8Text = Annotated[str, BeforeValidator(_whole)]  # may quote file names that are no Unicode: those bytes become `?`


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Event:
    """`seq` counts from 0 within a run, `time` is in seconds since 1970; `Run.emit` sets both."""

    seq: int = 0
    time: float = 0.0

    def to_line(self) -> str:
        """One line of JSON, without the newline; `crc` is the CRC-32 of everything after it."""
        name = type(self).__name__
        fields = ADAPTERS[name].dump_python(self, exclude_defaults=True)
        data = {"event": name, "seq": self.seq, "time": self.time, **fields}
        body = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return f'{{"crc":"{crc32(body.encode()):08x}",{body[1:]}'


@dataclass(frozen=True, config=STRICT)
class RunQueued(Event):
    """The run waits in the queue, for the first time or again after an interruption; `recipe` is the text it was
    launched with, protected by the line's checksum, `parent` the run whose variant it is, if a person began there."""

    recipe: str = ""
    parent: str = ""


@dataclass(frozen=True, config=STRICT)
class RunStarted(Event):
    """A worker started the run; `environment` names versions, device, threads and machine."""

    pid: int
    environment: dict[str, str]


@dataclass(frozen=True, config=STRICT)
class DataLoaded(Event):
    """The images are loaded and counted; `chance` is the chance level of each split, `content_hash` identifies images,
    labels and splits (empty in older logs)."""

    chance: Chance
    content_hash: str = ""


@dataclass(frozen=True, config=STRICT)
class StepStarted(Event):
    """`reused` names the cache entry that replaces the training of this step; None means it is trained now."""

    step: int
    stage: str
    method: str
    name: str
    epochs: int
    reused: str | None = None


@dataclass(frozen=True, config=STRICT)
class Progress(Event):
    """How far a step is: epochs and batches count from 0 up to their totals; what was not computed is None.

    At the end of an epoch `epoch` is one more and `batch` is 0. `control` names the control being made, empty for the
    step itself.
    """

    step: int
    seed: int
    what: Work
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float | None = None
    accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    samples_per_second: float | None = None
    eta_seconds: float | None = None
    control: str = ""


@dataclass(frozen=True, config=STRICT)
class Measured(Event):
    """A saved model was measured: a point of the recipe, a control, or a replica of a point with another seed."""

    role: Role
    seed: int
    point: Point


@dataclass(frozen=True, config=STRICT)
class ArtifactSaved(Event):
    """A file was saved: `path` is relative to the run folder, `bytes` its size, `sha256` its hash."""

    step: int
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, config=STRICT)
class Warned(Event):
    """A warning that does not stop the run; `step` is None if it concerns the whole run."""

    step: int | None
    code: str
    message: Utf8Text


@dataclass(frozen=True, config=STRICT)
class StepFinished(Event):
    """A step ended after `seconds`; `notes` report the result of a step without a point, which has no receipt."""

    step: int
    seconds: float
    notes: tuple[Utf8Text, ...] = ()


@dataclass(frozen=True, config=STRICT)
class RunPaused(Event):
    """The run pauses; `code` names a known reason: `asked`, `disk_full`, `class_minutes`."""

    reason: Utf8Text
    code: str = ""


@dataclass(frozen=True, config=STRICT)
class RunResumed(Event):
    """The run makes progress again after a pause or a stall."""


@dataclass(frozen=True, config=STRICT)
class RunStalled(Event):
    """The worker is alive but has reported nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, config=STRICT)
class RunFinished(Event):
    """All steps and controls are done."""


@dataclass(frozen=True, config=STRICT)
class RunCancelled(Event):
    """The run was cancelled: by a person, or by its search, whose reason is then a warning (`core.search.pruning`)."""


@dataclass(frozen=True, config=STRICT)
class RunFailed(Event):
    """The run failed; `error` is the JSON of a UserError (code, field, given, allowed, fix) with its `message`,
    `details` a traceback."""

    error: dict[str, Utf8Text]
    details: Utf8Text = ""


@dataclass(frozen=True, config=STRICT)
class RunInterrupted(Event):
    """The worker died without reporting an error. `cause` says why, as far as known, and what to do; `code` names a
    known cause; `details` is the end of the worker's log.

    `strike` is False if the run was not at fault: its worker died with the supervisor or the machine, or was asked to
    end.
    """

    cause: Utf8Text
    code: str = ""
    details: Utf8Text = ""
    strike: bool = True


AnyEvent = (
    RunQueued
    | RunStarted
    | DataLoaded
    | StepStarted
    | Progress
    | Measured
    | ArtifactSaved
    | Warned
    | StepFinished
    | RunPaused
    | RunResumed
    | RunStalled
    | RunFinished
    | RunCancelled
    | RunFailed
    | RunInterrupted
)
ADAPTERS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in get_args(AnyEvent)}
JSON_OBJECT = TypeAdapter(dict[str, JsonValue])


def parse(line: str) -> AnyEvent:
    """The event of a line made by `to_line`; raises ValueError on a torn or altered line and on an unknown event."""
    body = "{" + line[SEAL:]
    if line[:SEAL] != f'{{"crc":"{crc32(body.encode()):08x}",':
        raise ValueError(f"event line: its checksum does not match: {line[:80]!r}")
    fields = JSON_OBJECT.validate_json(body)
    name = fields.pop("event", None)
    if not isinstance(name, str) or name not in ADAPTERS:
        raise ValueError(f"event line: unknown event {name!r}")
    event: AnyEvent = ADAPTERS[name].validate_json(json.dumps(fields))
    return event
