"""A process that is kept ready, so that a run or a job need not wait for its imports."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.hardware.alone import Turns
from core.processes.identity import Identity
from core.processes.run_monitor import Timeouts
from core.processes.workers import Worker, end, start_worker
from core.runs import tail
from core.workspace import Workspace

TRIES = 3  # processes that die before they are ready, until that is reported
LONGEST_REST = 30.0  # seconds between two tries


class Spare:
    """Keeps one process of `command` ready; `give_up` gets the end of the log when none can be started."""

    def __init__(
        self, workspace: Workspace, command: tuple[str, ...], timeouts: Timeouts, give_up: Callable[[str], None]
    ) -> None:
        self.workspace = workspace
        self.command = command
        self.timeouts = timeouts
        self.give_up = give_up
        self.worker: Worker | None = None
        self.children: list[Worker] = []  # those that were taken and have not ended
        self._loading: Turns | None = None  # while it imports: that counts as work
        self._failures = 0
        self._start_after = 0.0
        self._since = 0.0

    def keep(self, *, later: bool = False) -> None:
        """Starts a process where there is none, unless that is to be done `later`; reports if none can be started, and
        ends one that hangs."""
        self.children = [worker for worker in self.children if worker.alive()]  # also reaps ended ones
        if self.worker is not None and not self.worker.alive():
            self._failures += 1
            rest = min(self.timeouts.spare * 2 ** (self._failures - 1), LONGEST_REST)
            self._start_after = time.monotonic() + rest
            if self._failures >= TRIES:
                self.give_up(tail(self.worker.log))
            self.worker = None
        if self._loading is not None and (self.worker is None or self.worker.ready()):
            self._loading.close()
            self._loading = None
        if self.worker is None and not later and time.monotonic() >= self._start_after and self._may_load():
            self.worker = start_worker(self.workspace.logs, self.command)
            self._since = time.monotonic()
        elif self.worker is not None and self._failures and self.worker.ready():
            self._failures = 0
        elif self.worker is not None and self._hangs(self.worker):
            end(self.worker.who, kill=True)

    def _may_load(self) -> bool:
        """Whether nobody measures; if so, nobody begins to until `_loading` is closed."""
        turns = Turns.of(self.workspace.cache)
        if not turns.begin_unless_measured():
            turns.close()
            return False
        self._loading = turns
        return True

    def _hangs(self, worker: Worker) -> bool:
        return time.monotonic() - self._since > self.timeouts.hang and not worker.ready()

    def take(self) -> Worker | None:
        """Hands over the process; None while there is none ready."""
        worker = self.worker
        if worker is not None and worker.ready() and worker.alive():
            self.children.append(worker)
            self.worker = None
            return worker
        return None

    def put_back(self, worker: Worker) -> None:
        """Keeps a process that was taken and got no work."""
        self.children.remove(worker)
        self.worker = worker

    def is_it(self, who: Identity | None) -> bool:
        """Whether that process is the one kept ready."""
        return self.worker is not None and who == self.worker.who

    def close(self) -> None:
        """Ends the process; those that were taken go on."""
        if self.worker is not None:
            self.worker.dismiss()
            end(self.worker.who, kill=True)
            self.worker.process.wait()
        if self._loading is not None:
            self._loading.close()
