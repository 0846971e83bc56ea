"""The drivers of searches as processes: started, found again, ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from core.processes.identity import Identity, alive, read_identity
from core.processes.process import reap, spawn, stop, wait
from core.processes.workers import WORKER
from core.search.store import Search, searches
from core.workspace import Workspace

DRIVER = (sys.executable, "-m", "core.search.driver")
START_LIMIT = 15.0  # seconds a driver may take to say who it is
STOP_LIMIT = 5.0


def driver(search: Search) -> Identity | None:
    """The process that works on a search, if one does."""
    who = read_identity(search.driver)
    return who if alive(who) else None


def start_driver(workspace: Workspace, search: Search, worker: tuple[str, ...] = WORKER) -> None:
    """Has somebody work on the search; nothing happens where somebody does. Raises OSError when the disk does."""
    if driver(search) is None:
        reap(spawn((*DRIVER, str(workspace.path), search.id, *worker), search.log))


def ensure_driver(workspace: Workspace, search: Search, worker: tuple[str, ...] = WORKER) -> Identity | None:
    """The search's driver, started if there is none; None where the search was over before it was seen. `worker` is the
    command of workers, should the driver have to start the supervisor."""
    start_driver(workspace, search, worker)
    return wait(lambda: driver(search), START_LIMIT, lambda: not search.progress().is_over)


def unattended(workspace: Workspace, *, resting: bool, over: dict[str, int] | None = None) -> Iterator[Search]:
    """Searches that are not over and that nobody works on; those that were told to rest only with `resting`.

    `over` remembers those that were over, with the time of their file, so that they are not read again and again.
    """
    known = {} if over is None else over
    for search in searches(workspace):
        changed = search.changed()
        if known.get(search.id) == changed:
            continue
        now = search.progress()
        if now.is_over:
            known[search.id] = changed
        elif (resting or now.status != "resting") and driver(search) is None:
            yield search


def stop_drivers(workspace: Workspace) -> int:
    """Lets the searches of a workspace rest until its next supervisor starts; how many were at work."""
    working = [who for search in searches(workspace) if (who := driver(search)) is not None]
    for who in working:
        stop(who, STOP_LIMIT)
    return len(working)
