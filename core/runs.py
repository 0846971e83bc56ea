"""A run is a folder: its recipe, events, checkpoints and artifacts, and the process that works on it.

recipe.toml    as launched, never changed        events.jsonl   append-only, one event per line
worker.json    the process that works on it      run.lock       held by that process while it lives
cancel, pause  flags set by a person             log.txt        the output of the process
notes.json     a person's name, tags and note    result.json    the summary, once the run has ended
checkpoints/   artifacts/
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError, shorten
from core.events import AnyEvent, Event, Progress, RunCancelled, RunPaused, RunQueued, parse
from core.files import append_line, lock, remove_file, write_atomic
from core.points import Point
from core.recipe import Recipe, stored_recipe
from core.state import RunState, Status, fold
from core.statistics.chance import assumed
from core.storage.recovery import SUMMARY_DAMAGED, completed, lost_between, without_log
from core.storage.sealed import read_sealed, seal
from core.summary import Notes, RunSummary, SavedFile

__all__ = ["Notes", "Run", "RunState", "RunSummary", "Scan", "Status", "fold"]

LONGEST_NOTE = 4096
PATIENCE = 2.0  # seconds
LONGEST_LINE = 2**22  # bytes of the first event read to find the recipe in it


class Scan(NamedTuple):
    """Events read from an offset, the offset to continue from, and the number of damaged lines."""

    events: list[AnyEvent]
    offset: int
    damaged: int


@dataclass(frozen=True)
class Headline:
    """The fields of a recipe that a table shows; empty if the recipe cannot be read."""

    name: str = ""
    dataset: str = ""
    target: str = ""
    backbone: str = ""


class Run:
    """Access to a run's folder; cheap to create, and several objects may use one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = folder / "events.jsonl"
        self.result = folder / "result.json"
        self.worker = folder / "worker.json"
        self.foreground = folder / "foreground.json"  # the process that waits for it in a terminal, if any
        self.log = folder / "log.txt"
        self.checkpoints = folder / "checkpoints"
        self.artifacts = folder / "artifacts"
        self.ending = False  # set in a worker whose process was asked to end
        self._next = (0, 0)  # the offset to look for newer events from before writing, and the next sequence number
        self._known = (0, RunState())  # the offset up to which events were folded, and the state there
        self._launched: str | None = None

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def recipe_text(self) -> str:
        """The recipe the run was launched with, even if recipe.toml was changed; older runs, whose log does not hold
        the recipe, have that file only. Raises OSError or ValueError if neither can be read."""
        return self.launched() or (self.folder / "recipe.toml").read_text(encoding="utf-8")

    def recipe(self) -> Recipe:
        """The recipe the run was launched with. It was checked then and is not checked again, so that old runs open
        whatever is allowed today. Raises UserErrors if the text is no recipe, OSError and ValueError as
        `recipe_text`."""
        return stored_recipe(self.recipe_text)

    def launched(self) -> str:
        """The recipe as stored in the log; empty for older logs, which do not hold it."""
        if self._launched is None:
            first = _parsed(self._first_line())
            known = first.recipe if isinstance(first, RunQueued) else ""
            self._launched = known or next(
                (event.recipe for event in self.scan().events if isinstance(event, RunQueued) and event.recipe), ""
            )
        return self._launched

    @property
    def parent(self) -> str:
        """The id of the run that a person made it from, as the log says; empty if there is none."""
        first = _parsed(self._first_line())
        return first.parent if isinstance(first, RunQueued) else ""

    def _first_line(self) -> bytes:
        try:
            with self.events.open("rb") as file:
                return file.readline(LONGEST_LINE).rstrip(b"\n")
        except OSError:
            if self.has_log():
                raise
            return b""

    # events

    def has_log(self) -> bool:
        """Whether its log is there; a folder, or a link that leads nowhere, is none."""
        return self.events.is_file()

    def emit(self, *events: Event) -> None:
        """Appends events with the next sequence numbers and the time; flushed to disk unless all are Progress.

        Several events are written at once: no reader sees the first without the last. Raises OSError if the disk fails;
        the next `emit` ends an incomplete line, so nothing else is lost.
        """
        self._append(events)

    def receive(self, events: Sequence[Event], times: Sequence[float]) -> None:
        """Appends events that another machine recorded, with numbers of this log, at `times` by this machine's
        clock."""
        self._append(events, times)

    def _append(self, events: Sequence[Event], times: Sequence[float] = ()) -> None:
        lasting = not all(isinstance(event, Progress) for event in events)
        with lock(self.events):
            first, now = self._next_seq(), time.time()
            moments = times or [now] * len(events)
            stamped = [
                replace(event, seq=first + place, time=moment)
                for place, (event, moment) in enumerate(zip(events, moments, strict=True))
            ]
            append_line(self.events, *(event.to_line().encode() for event in stamped), sync=lasting)
            self._next = (self.events.stat().st_size, first + len(stamped))
        if lasting and (self.result.exists() or self.state().status.is_over):
            self.settle()

    def _next_seq(self) -> int:
        """The number after the newest event, which may be in a complete last line without a newline."""
        offset, following = self._next
        for line in reversed(self._bytes(offset).split(b"\n")):
            event = _parsed(line)
            if event is not None:
                return event.seq + 1
        return following

    def scan(self, offset: int = 0) -> Scan:
        """The events from `offset` on; an incomplete last line is left for later, damaged lines are counted.

        Zero bytes at the end are left by a crash of the machine: such a line will never be completed.
        """
        data = self._bytes(offset)
        end = data.rfind(b"\n") + 1
        if b"\0" in data[end:]:
            end = len(data)
        parsed = [_parsed(line) for line in data[:end].split(b"\n") if line]
        events = [event for event in parsed if event is not None]
        return Scan(events, offset + end, len(parsed) - len(events))

    def read(self, offset: int = 0) -> tuple[list[AnyEvent], int]:
        """The events written since `offset`, and the offset for the next call; reads only the new bytes."""
        found = self.scan(offset)
        return found.events, found.offset

    def _bytes(self, offset: int) -> bytes:
        try:
            with self.events.open("rb") as file:
                file.seek(offset)
                return file.read()
        except OSError:
            if self.has_log():
                raise
            return b""

    def state(self) -> RunState:
        """The current state; repeated calls fold only new events. What a damaged log has lost comes from result.json if
        the run has ended."""
        offset, state = self._known
        if offset > self._length():  # the log was replaced by a shorter one
            offset, state = 0, RunState()
        found = self.scan(offset)
        if found.offset != offset or not state.name:
            name = state.name or self.headline().name or self.id
            missing = state.missing + lost_between(found.events, state.seq)
            damaged = state.damaged + found.damaged
            state = replace(fold(found.events, state), name=name, damaged=damaged, missing=missing)
            if state.chance is None:  # not counted yet, or recorded by a version that did not count
                headline = self.headline()
                state = replace(state, chance=assumed(headline.dataset, headline.target))
            self._known = (found.offset, state)
        return self._whole(replace(state, name=self.notes().name or state.name))

    def fold_whole(self) -> RunState:
        """The state folded from the whole log, without result.json."""
        found = self.scan()
        missing = lost_between(found.events, -1)
        return replace(fold(found.events), damaged=found.damaged, missing=missing)

    def _whole(self, state: RunState) -> RunState:
        stored = self._stored()
        if stored is not None:
            return completed(state, stored)
        return without_log(state) if state.seq < 0 and self.artifacts.is_dir() and not self._length() else state

    def _length(self) -> int:
        try:
            return self.events.stat().st_size if self.has_log() else 0
        except FileNotFoundError:  # removed just now
            return 0

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
        """Whether a person asked to cancel the run."""
        return (self.folder / "cancel").exists()

    def pause(self, reason: str = "", code: str = "") -> None:
        """Asks the worker to write a checkpoint, say RunPaused and end; `requeue` takes the run up again. `reason` and
        `code` are those of RunPaused where it was not a person who asked."""
        if not self.state().status.is_over:
            write_atomic(self.folder / "pause", f"{code}\n{reason}".encode() if code else b"")

    def pause_requested(self) -> bool:
        """Whether a person asked to pause the run."""
        return (self.folder / "pause").exists()

    def why_pause(self, otherwise: str = "Paused by a person.") -> RunPaused:
        """The event for the pause that was asked for."""
        try:
            code, _, reason = (self.folder / "pause").read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            code, reason = "", ""
        return RunPaused(reason, code) if code else RunPaused(otherwise, "asked")

    def asked_to_stop(self) -> bool:
        """For a worker: whether it is to end at its next batch, for whatever reason."""
        return self.ending or self.cancel_requested() or self.pause_requested()

    def requeue(self, parent: str = "") -> None:
        """Makes a new, paused, cancelled, failed or interrupted run wait for its turn; `parent` is a new run's.

        Raises UserError `run_is_running` or `run_is_finished`.
        """
        with self.hold() as idle:
            if not idle:
                raise UserError("run_is_running", "run", self.id, "a run that is not running", "Wait for it to end.")
            if self.state().status is Status.FINISHED:
                raise UserError(
                    "run_is_finished", "run", self.id, "a run that is not finished", "Start a new run of its recipe."
                )
            recipe = "" if self.launched() else self.recipe_text
            for flag in ("cancel", "pause", "foreground.json", "worker.json", "node.json", "result.json"):
                remove_file(self.folder / flag)
            self._launched = None
            self.emit(RunQueued(recipe, parent))

    def notes(self) -> Notes:
        """A person's notes on the run; if notes.json is damaged or missing, as far as result.json repeats them."""
        try:
            return Notes.model_validate_json(read_sealed(self.folder / "notes.json"))
        except (OSError, ValueError) as error:
            stored = self._stored()
            if stored is None or (isinstance(error, FileNotFoundError) and not (stored.tags or stored.note)):
                return Notes()
            return Notes(name=stored.name, tags=stored.tags, note=stored.note)

    def annotate(self, notes: Notes) -> None:
        """Stores a person's name, tags and note next to the recipe; raises UserError `too_long` over 4,096
        characters."""
        for field, text in (("name", notes.name), ("note", notes.note), ("tags", " ".join(notes.tags))):
            if len(text) > LONGEST_NOTE:
                raise UserError("too_long", field, text, f"at most {LONGEST_NOTE} characters", "Shorten it.")
        write_atomic(self.folder / "notes.json", seal(notes.model_dump_json(exclude_defaults=True).encode()))
        if self.result.exists() and self.has_log():
            self.settle()
        elif self.result.exists():  # the run came as recipe and result alone: there is no log to fold
            kept = {"name": notes.name or self.headline().name or self.id, "tags": notes.tags, "note": notes.note}
            self._store(self.summary().model_copy(update=kept))

    # who works on it

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Holds the run's lock while the block runs; yields False if another process has it."""
        with lock(self.folder / "run.lock", wait=False) as mine:
            yield mine

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """For workers: holds the run while working on it; yields False if another process does, or if the run has
        ended.

        It tries for two seconds, because others hold the lock briefly (cancel, delete) without working on the run.
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
        """The fields of its recipe that tables show; empty if the recipe cannot be read."""
        try:
            recipe = tomllib.loads(self.recipe_text)
        except (OSError, ValueError):  # edited by hand and broken: the run is still listed, under its id
            return Headline()
        texts = {key: recipe.get(key) for key in ("name", "dataset", "target", "backbone")}
        return Headline(**{key: shorten(text, 200) for key, text in texts.items() if isinstance(text, str) and text})

    def summary(self) -> RunSummary:
        """The run as a row of a table, read from result.json if it has ended, otherwise folded from its events. A
        damaged or missing result.json is rebuilt from an intact log."""
        stored = self._stored()
        if stored is not None:
            return self._with_environments(stored).model_copy(update={"id": self.id})
        found = self._summarise()
        if self.result.exists() and not self.has_log():
            return found.model_copy(update={"status": Status.INTERRUPTED, "cause": SUMMARY_DAMAGED})
        if found.status.is_over and self.has_log() and not found.lost:
            with suppress(OSError), self.hold() as idle:  # OSError: a read-only workspace
                if idle and self.state().status.is_over:
                    self._store(found)
        return found

    def _stored(self) -> RunSummary | None:
        """The content of result.json; None if it is missing or damaged."""
        try:
            stored = RunSummary.model_validate_json(read_sealed(self.result))
        except (OSError, ValueError):
            return None
        return stored.model_copy(update={"name": stored.name or self.id, **_with_chance(stored)})

    def _with_environments(self, stored: RunSummary) -> RunSummary:
        """A summary in which points do not yet say where they were measured, with what an intact log says of that."""
        if stored.environments_known or not self.has_log():
            return stored
        folded = self.fold_whole()
        if folded.lost or folded.seq + 1 < stored.events:
            return stored
        there = {name: _measured_where(getattr(stored, name), getattr(folded, name)) for name in ("points", "controls")}
        return stored.model_copy(update={"environments_known": True, **there})

    def settle(self) -> None:
        """Writes result.json if the run has ended; removes it if not."""
        summary = self._summarise()
        if summary.status.is_over:
            self._store(summary)
        else:
            remove_file(self.result)

    def _store(self, summary: RunSummary) -> None:
        data = summary.model_dump_json(exclude={"id"}, exclude_none=True, indent=1)
        write_atomic(self.result, seal(data.encode()))

    def _summarise(self) -> RunSummary:
        state, headline, notes = self.state(), self.headline(), self.notes()
        before = self._stored() if state.lost else None
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
            files=tuple(SavedFile(step=a.step, path=a.path, bytes=a.bytes, sha256=a.sha256) for a in state.artifacts),
            events=state.seq + 1,
            lost=state.lost,
            environments_known=not state.lost or (before is not None and before.environments_known),
        )


def _measured_where(stored: tuple[Point, ...], folded: tuple[Point, ...]) -> tuple[Point, ...]:
    """Stored points with the environments that the log has of them, where it is not the same one of all."""
    known = {(point.step, point.name): point.own_environment for point in folded}
    return tuple(point.in_environment(known.get((point.step, point.name), {})) for point in stored)


def _with_chance(stored: RunSummary) -> dict[str, tuple[Point, ...]]:
    """The points of a summary written without chance levels, with those the catalog knows."""
    if all(point.chance for point in (*stored.points, *stored.controls)):
        return {}
    level = {"chance": assumed(stored.dataset, stored.target)}
    groups = {"points": stored.points, "controls": stored.controls}
    return {name: tuple(p if p.chance else p.model_copy(update=level) for p in held) for name, held in groups.items()}


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
