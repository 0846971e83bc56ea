"""A run is a folder and nothing else: its recipe, its events, its checkpoints and artifacts, and who works on it.

recipe.toml    as launched, never changed        events.jsonl   append-only, one event a line
worker.json    which process works on it         run.lock       held by that process while it lives
cancel, pause  flags a person sets               log.txt        what the process printed
notes.json     name, tags and note of a person   result.json    the summary, once the run is over
checkpoints/   artifacts/
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict

from core.chance import assumed
from core.errors import UserError, shorten
from core.events import AnyEvent, Event, Progress, RunCancelled, RunQueued, parse
from core.files import append_line, lock, remove_file, write_atomic
from core.points import Point
from core.state import RunState, Status, fold

__all__ = ["Notes", "Run", "RunState", "RunSummary", "Scan", "Status", "fold"]

LONGEST_NOTE = 4096
PATIENCE = 2.0  # seconds
IMMUTABLE = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Notes(BaseModel):
    """What a person wrote on a run after it began; an empty name keeps the recipe's."""

    model_config = IMMUTABLE

    name: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


def _emptied(text: object) -> object:
    """Earlier versions stored what a recipe left empty as two quotation marks."""
    return "" if text == '""' else text


Text = Annotated[str, BeforeValidator(_emptied)]


class RunSummary(BaseModel):
    """A run as a row of a table; `result.json` is this, without the id, which is the folder's name."""

    model_config = IMMUTABLE

    id: str = ""
    name: Text
    status: Status
    dataset: Text = ""
    target: Text = ""
    backbone: Text = ""
    created: float | None = None
    started: float | None = None
    finished: float | None = None
    lasted: float | None = None  # seconds; absent where the clock was moved meanwhile
    points: tuple[Point, ...] = ()
    controls: tuple[Point, ...] = ()
    environment: dict[str, str] = {}
    error: dict[str, str] | None = None
    cause: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


class Scan(NamedTuple):
    """Events read from an offset, where to read on, and how many lines were damaged."""

    events: list[AnyEvent]
    offset: int
    damaged: int


@dataclass(frozen=True)
class Headline:
    """What a table needs of a recipe; empty where the recipe cannot be read."""

    name: str = ""
    dataset: str = ""
    target: str = ""
    backbone: str = ""


class Run:
    """The only way to a run's folder; cheap to make, and several may look at one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = folder / "events.jsonl"
        self.result = folder / "result.json"
        self.worker = folder / "worker.json"
        self.foreground = folder / "foreground.json"  # the process that waits for it at a terminal, if one does
        self.log = folder / "log.txt"
        self.checkpoints = folder / "checkpoints"
        self.artifacts = folder / "artifacts"
        self.ending = False  # set in a worker whose process was asked to end
        self._next = (0, 0)  # where to look for newer events before writing one, and the next sequence number
        self._known = (0, RunState())  # what was folded so far, and up to which offset

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def recipe_text(self) -> str:
        return (self.folder / "recipe.toml").read_text(encoding="utf-8")

    # events

    def emit(self, *events: Event) -> None:
        """Appends events with the next sequence numbers and the time; flushed to disk unless they are mere progress.

        Several are written at once: no reader sees the first without the last. Raises OSError when the disk does; a
        line torn by it is ended by the next `emit`, so nothing else is lost.
        """
        lasting = not all(isinstance(event, Progress) for event in events)
        with lock(self.events):
            first, now = self._next_seq(), time.time()
            stamped = [replace(event, seq=first + place, time=now) for place, event in enumerate(events)]
            append_line(self.events, *(event.to_line().encode() for event in stamped), sync=lasting)
            self._next = (self.events.stat().st_size, first + len(stamped))
        if lasting and (self.result.exists() or self.state().status.is_over):
            self.settle()

    def _next_seq(self) -> int:
        """The number after the newest event, a whole last line whose newline is missing included."""
        offset, following = self._next
        for line in reversed(self._bytes(offset).split(b"\n")):
            event = _parsed(line)
            if event is not None:
                return event.seq + 1
        return following

    def scan(self, offset: int = 0) -> Scan:
        """The whole lines from `offset` on; a torn last line is left for later, a damaged one is counted."""
        data = self._bytes(offset)
        end = data.rfind(b"\n") + 1
        parsed = [_parsed(line) for line in data[:end].split(b"\n") if line]
        events = [event for event in parsed if event is not None]
        return Scan(events, offset + end, len(parsed) - len(events))

    def read(self, offset: int = 0) -> tuple[list[AnyEvent], int]:
        """The events written since `offset`, and the offset to ask from next time; reads only the new bytes."""
        found = self.scan(offset)
        return found.events, found.offset

    def _bytes(self, offset: int) -> bytes:
        try:
            with self.events.open("rb") as file:
                file.seek(offset)
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return b""

    def state(self) -> RunState:
        """What the run is like now; asked again, it folds only what is new."""
        offset, state = self._known
        found = self.scan(offset)
        if found.offset != offset or not state.name:
            name = state.name or self.headline().name or self.id
            state = replace(fold(found.events, state), name=name, damaged=state.damaged + found.damaged)
            if state.chance is None:  # not counted yet, or by a version that did not count
                headline = self.headline()
                state = replace(state, chance=assumed(headline.dataset, headline.target))
            self._known = (found.offset, state)
        return replace(state, name=self.notes().name or state.name)

    # what a person asks of it

    def cancel(self) -> None:
        """Asks the worker to stop at its next batch; a run nobody works on is cancelled at once."""
        if self.state().status.is_over:
            return
        write_atomic(self.folder / "cancel", b"")
        with self.hold() as idle:
            if idle and not self.state().status.is_over:
                self.emit(RunCancelled())

    def cancel_requested(self) -> bool:
        return (self.folder / "cancel").exists()

    def pause(self) -> None:
        """Asks the worker to write a checkpoint, say RunPaused and end; `requeue` takes the run up again."""
        if not self.state().status.is_over:
            write_atomic(self.folder / "pause", b"")

    def pause_requested(self) -> bool:
        return (self.folder / "pause").exists()

    def asked_to_stop(self) -> bool:
        """For a worker: whether it is to end at its next batch, for whatever reason."""
        return self.ending or self.cancel_requested() or self.pause_requested()

    def requeue(self) -> None:
        """Makes a paused, cancelled, failed or interrupted run wait for its turn again.

        Raises UserError `run_is_running` or `run_is_finished`.
        """
        with self.hold() as idle:
            if not idle:
                raise UserError("run_is_running", "run", self.id, "a run that is not running", "Wait for it to end.")
            if self.state().status is Status.FINISHED:
                raise UserError(
                    "run_is_finished", "run", self.id, "a run that is not finished", "Start a new run of its recipe."
                )
            for flag in ("cancel", "pause", "foreground.json", "worker.json", "result.json"):
                remove_file(self.folder / flag)
            self.emit(RunQueued())

    def notes(self) -> Notes:
        try:
            return Notes.model_validate_json((self.folder / "notes.json").read_bytes())
        except (OSError, ValueError):
            return Notes()

    def annotate(self, notes: Notes) -> None:
        """Keeps a person's name, tags and note beside the recipe; raises UserError `too_long` over 4,096 characters."""
        for field, text in (("name", notes.name), ("note", notes.note), ("tags", " ".join(notes.tags))):
            if len(text) > LONGEST_NOTE:
                raise UserError("too_long", field, text, f"at most {LONGEST_NOTE} characters", "Shorten it.")
        write_atomic(self.folder / "notes.json", notes.model_dump_json(exclude_defaults=True).encode())
        if self.result.exists() and self.events.exists():
            self.settle()
        elif self.result.exists():  # handed in as recipe and result alone: there is nothing to fold it from
            kept = {"name": notes.name or self.headline().name or self.id, "tags": notes.tags, "note": notes.note}
            self._store(self.summary().model_copy(update=kept))

    # who works on it

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Holds the run's lock while the block runs; yields False when another process has it."""
        with lock(self.folder / "run.lock", wait=False) as mine:
            yield mine

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """For a worker: holds the run while it works on it; yields False if another does, or if the run is over.

        It tries for two seconds, because others hold the lock for a moment (cancel, delete) without working on it.
        """
        until = time.monotonic() + PATIENCE
        while True:
            with self.hold() as mine:
                if mine or time.monotonic() > until:
                    yield mine and not self.state().status.is_over
                    return
            time.sleep(0.02)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines the worker printed, at most 8 KiB."""
        return tail(self.log, lines)

    # the summary

    def headline(self) -> Headline:
        try:
            recipe = tomllib.loads(self.recipe_text)
        except (OSError, ValueError):  # broken by hand: the run is still listed, under its id
            return Headline()
        texts = {key: recipe.get(key) for key in ("name", "dataset", "target", "backbone")}
        return Headline(**{key: shorten(text, 200) for key, text in texts.items() if isinstance(text, str) and text})

    def summary(self) -> RunSummary:
        """The run as a row, read from result.json if it is over, else folded from its events."""
        try:
            stored = RunSummary.model_validate_json(self.result.read_bytes())
        except (OSError, ValueError):  # not over, or damaged: the events are the truth
            return self._summarise()
        return stored.model_copy(update={"id": self.id, "name": stored.name or self.id, **_with_chance(stored)})

    def settle(self) -> None:
        """Writes result.json if the run is over; removes it if it is not."""
        summary = self._summarise()
        if summary.status.is_over:
            self._store(summary)
        else:
            remove_file(self.result)

    def _store(self, summary: RunSummary) -> None:
        data = summary.model_dump_json(exclude={"id"}, exclude_none=True, indent=1)
        write_atomic(self.result, data.encode())

    def _summarise(self) -> RunSummary:
        state, headline, notes = self.state(), self.headline(), self.notes()
        return RunSummary(
            id=self.id,
            name=state.name,
            status=state.status,
            dataset=headline.dataset,
            target=headline.target,
            backbone=headline.backbone,
            created=state.queued,
            started=state.started,
            finished=state.finished,
            lasted=state.lasted if state.finished is not None else None,
            points=state.points,
            controls=state.controls,
            environment=dict(state.environment),
            error=dict(state.error) if state.error else None,
            cause=state.cause,
            tags=notes.tags,
            note=notes.note,
        )


def _with_chance(stored: RunSummary) -> dict[str, tuple[Point, ...]]:
    """The points of a summary that was written without chance, with what the catalogue knows of it."""
    if all(point.chance for point in (*stored.points, *stored.controls)):
        return {}
    told = {"chance": assumed(stored.dataset, stored.target)}
    groups = {"points": stored.points, "controls": stored.controls}
    return {name: tuple(p if p.chance else p.model_copy(update=told) for p in held) for name, held in groups.items()}


def _parsed(line: bytes) -> AnyEvent | None:
    try:
        return parse(line.decode())
    except ValueError:
        return None


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, at most 8 KiB; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
