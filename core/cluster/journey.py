"""A run's way to a node and back: what it needs travels there, what it makes comes home, requests are passed on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cluster.cargo import Item, cargo
from core.cluster.guest import PIECE, Lack, News
from core.cluster.mirror import Mirror
from core.cluster.nodes import Node, no_room_for, place_of, put_place
from core.events import RunPaused
from core.processes.run_monitor import DISK_FULL, DISK_FULL_EXIT, NODE_REFUSED
from core.runs import Run, Status

POLL = 0.2  # seconds
TRIES = 3  # to send files that change on their way, or to fetch them
FLAGS = ("cancel", "pause")

Call = Callable[..., Any]  # a method of the `Guest` by its name, and its arguments


class Journey:
    """One run on one node; `call` asks its guest there."""

    def __init__(self, run: Run, node: Node, call: Call) -> None:
        self.run = run
        self.node = node
        self.call = call
        self._passed: set[str] = set()

    def make(self, ending: Callable[[], bool]) -> int:
        """Returns the exit code of the worker there, negative for a signal; 0 where the run's log says how it ended.

        Once `ending` is true the worker is asked to end after its batch. Raises OSError if the disk here fails.
        """
        with self.run.claim() as mine:
            if not mine:
                print("The run has ended, or another process holds its run.lock.", flush=True)
                return 0
            self.call("arrive")
            items = self._send(ending)
            if items is None:
                return NODE_REFUSED
            self.call("begin")
            log = next((one.bytes for one in items if one.path.endswith(f"{self.run.id}/events.jsonl")), 0)
            news, output = self._follow(Mirror(self.run, self.node, self._read, log), ending)
            self.call("leave")
            return self._result(news.code, output)

    def _send(self, ending: Callable[[], bool]) -> Sequence[Item] | None:
        """Has everything the run needs on the node, and returns it; None where it has no room, or if a person does not
        want the run any more."""
        for _ in range(TRIES):
            items = cargo(self.run)
            lack = self._lack(items, ending)
            if lack is None:
                return None
            if not lack.fits:
                self.refuse(no_room_for(self.node.name, lack.free, lack.needed))
                return None
            if all(self._send_one(one) for one in lack.items):
                return items
        raise RuntimeError("the files of the dataset change all the time: they could not be sent to the node")

    def _lack(self, items: Sequence[Item], ending: Callable[[], bool]) -> Lack | None:
        while (lack := self.call("lacks", items)) is None:  # another run brings its own
            if ending() or self.run.asked_to_stop():
                return None
            time.sleep(POLL)
        return lack  # type: ignore[no-any-return]

    def _send_one(self, one: Item) -> bool:
        root = self.run.folder.parent.parent
        offset = 0
        with Path(root / one.path).open("rb") as file:
            while True:
                data = file.read(min(PIECE, one.bytes - offset))
                if not self.call("receive", one, offset, data) or (not data and one.bytes > offset):
                    return False
                offset += len(data)
                if offset >= one.bytes:
                    return True

    def refuse(self, why: str) -> None:
        """Has the run done elsewhere, and says why."""
        place = place_of(self.run)
        put_place(self.run, replace(place, refused={**place.refused, self.node.id: why}))
        print(f"\n{why}: the run goes to another node.", flush=True)

    def _follow(self, mirror: Mirror, ending: Callable[[], bool]) -> tuple[News, bytes]:
        """Mirrors until the worker has ended and everything is here; also returns the end of its output."""
        output, left = b"", TRIES
        while True:
            self._pass_on(ending)
            news: News = self.call("news", mirror.events, mirror.log)
            new = mirror.apply(news)
            sys.stdout.buffer.write(new)
            sys.stdout.buffer.flush()
            output = (output + new)[-8192:]
            if not news.alive:
                left -= 1
                if mirror.is_whole(news) or not left:
                    return news, output
            time.sleep(POLL if news.alive else 0)

    def _read(self, file: object, offset: int) -> bytes | None:
        return self.call("read", file, offset)  # type: ignore[no-any-return]

    def _pass_on(self, ending: Callable[[], bool]) -> None:
        """What a person, or the end of this machine, asks of the run."""
        for flag in FLAGS:
            path = self.run.folder / flag
            if flag not in self._passed and path.exists():
                self.call("ask", flag, path.read_bytes())
                self._passed.add(flag)
        if ending() and "end" not in self._passed:
            self.call("end", False)
            self._passed.add("end")

    def _result(self, code: int | None, output: bytes) -> int:
        status = self.run.state().status
        if status.is_over or status is Status.PAUSED:
            return 0
        full = any(word.encode() in output for word in DISK_FULL)
        if code == DISK_FULL_EXIT or (code and full):  # of the node: what is free here says nothing
            why = f"on {self.node.name} the disk is full: free some space there, then resume"
            self.run.emit(RunPaused(why, "disk_full"))
            return 0
        return 1 if code is None else code
