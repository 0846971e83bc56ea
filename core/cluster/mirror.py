"""The run's folder at home as its node tells it: files first, then the events that speak of them, each under a number
and a time of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

from core.cluster.cargo import item, place_for, results
from core.cluster.guest import File, News
from core.cluster.nodes import Node
from core.events import AnyEvent, RunPaused, RunStarted, Warned, parse
from core.files import make_folder, remove_file, replacing
from core.runs import Run

Read = Callable[[File, int], bytes | None]  # a piece of a file from an offset; None if it was replaced


class Mirror:
    """Writes to the run's folder what a node reports; `events` and `log` are the offsets to ask from."""

    def __init__(self, run: Run, node: Node, read: Read, events: int) -> None:
        self.run = run
        self.node = node
        self.read = read
        self.events = events
        self.log = 0
        self._known = {found.path: found.sha256 for found in (item(run.folder, path) for path in results(run.folder))}
        self._absent: set[str] = set()

    def apply(self, news: News) -> bytes:
        """Brings the folder up to date, and returns the new output. A file is in its place before an event tells of it,
        and goes after the event that made it needless. Raises OSError if the disk here fails."""
        for file in news.files:
            if self._known.get(file.path) != file.sha256 and self._fetch(file):
                self._known[file.path] = file.sha256
        self._tell(news)
        self._forget({file.path for file in news.files})
        self.log += len(news.log)
        return news.log

    def is_whole(self, news: News) -> bool:
        """Whether every file that the news names is here."""
        return all(self._known.get(file.path) == file.sha256 for file in news.files)

    def _fetch(self, file: File) -> bool:
        """Writes one file; False if it was replaced on its way, or arrived otherwise than it was sent."""
        path, digest = place_for(self.run.folder, file.path), sha256()
        make_folder(path.parent)
        with suppress(_ChangedError), replacing(path) as temporary:
            with temporary.open("wb") as written:
                done = 0
                while done < file.bytes:
                    piece = self.read(file, done)
                    if not piece:
                        raise _ChangedError
                    written.write(piece)
                    digest.update(piece)
                    done += len(piece)
            if digest.hexdigest() != file.sha256:
                raise _ChangedError
            return True
        return False

    def _tell(self, news: News) -> None:
        """Appends the events at the times of this machine's clock, in their order, none in the future."""
        ahead, now = news.clock - time.time(), time.time()
        lines = [line for line in news.events.split(b"\n") if line]
        whole = [event for line in lines if (event := _parsed(line)) is not None]
        events = [self._at_home(event) for event in whole]
        if lost := len(lines) - len(whole):
            told = f"On {self.node.name} the log of this run was damaged: {lost} of its lines are lost."
            events.append(Warned(None, "log_damaged", told, time=news.clock))
        times: list[float] = []
        for event in events:
            least = times[-1] if times else self.run.state().last_event or 0.0
            times.append(min(max(event.time - ahead, least), max(now, least)))
        if events:
            self.run.receive(events, times)
        self.events += len(news.events)

    def _at_home(self, event: AnyEvent) -> AnyEvent:
        """The event with what only this machine knows: which node it came from."""
        if isinstance(event, RunStarted):
            known = {"processor": self.node.processor} if self.node.processor else {}
            return replace(event, environment={**known, **event.environment, "node": self.node.name})
        if isinstance(event, RunPaused) and event.code == "disk_full":
            return replace(event, reason=f"on {self.node.name}: {event.reason}")
        return event

    def _forget(self, there: set[str]) -> None:
        """Removes files that the node lacked twice in a row: the events that explain it have come meanwhile."""
        absent = {path for path in self._known if path not in there}
        for path in absent & self._absent:
            remove_file(place_for(self.run.folder, path))
            del self._known[path]
        self._absent = absent & set(self._known)


class _ChangedError(Exception):
    """The file is not the one that was named."""


def _parsed(line: bytes) -> AnyEvent | None:
    try:
        return parse(line.decode())
    except ValueError:
        return None
