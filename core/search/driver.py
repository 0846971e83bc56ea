"""The process of one search: `python -m core.search.driver WORKSPACE SEARCH [WORKER COMMAND …]`.

It may be killed at any time; the supervisor starts the next one, which goes on with the same trial.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from core.catalog import Catalog
from core.errors import UserError, UserErrors
from core.files import lock, write_atomic
from core.options import Value
from core.processes.ask import ask
from core.processes.identity import identity
from core.processes.workers import TAKEN, WORKER, ensure_supervisor
from core.questions.preview import Preview, PreviewRequest
from core.search import space
from core.search.loop import Loop
from core.search.pruning import most_epochs, watched
from core.search.queue_runner import QueueRunner, Watch
from core.search.reach import reach, refuse
from core.search.specification import Specification
from core.search.store import Search, find
from core.search.study import Study
from core.search.trial import Progress
from core.storage.disk import disk_message
from core.workspace import Workspace


class Driver:
    """Checks what is asked, then searches; every end is written where a person reads it."""

    def __init__(self, workspace: Workspace, search: Search, worker: tuple[str, ...] = WORKER) -> None:
        self.workspace = workspace
        self.search = search
        self.worker = worker  # the command of workers, where there is no supervisor
        self.ending = False

    def serve(self) -> bool:
        """Works on the search until it is over; False, at once, if another driver does."""
        with lock(self.search.lock, wait=False) as mine:
            if not mine:
                return False
            me = identity(os.getpid())
            if me is not None:
                write_atomic(self.search.driver, me.to_json().encode())
            if not self.search.progress().is_over:
                self._work()
        return True

    def _work(self) -> None:
        try:
            self._search()
        except (UserError, UserErrors) as error:
            first = error.errors[0] if isinstance(error, UserErrors) else error
            self._end("refused" if first.code == "out_of_reach" else "failed", first)
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()  # else the supervisor would begin it again and again
            said = disk_message(error, self.workspace.path) if isinstance(error, OSError) else str(error)
            given = said or type(error).__name__
            self._end("failed", UserError("search_failed", "search", given, "", "What was tried is kept. Resume it."))

    def _search(self) -> None:
        specification, before = self.search.specification(), self.search.progress()
        catalog = self.workspace.catalog()
        ensure_supervisor(self.workspace, worker=self.worker)
        if before.status == "checking":
            self._check(specification, catalog)
        start = {} if specification.is_sweep else as_it_is(specification, catalog)
        recipe, step = specification.base(), None
        if specification.pruner != "none":
            step = watched(recipe, specification.vary, catalog)
        epochs = 0 if step is None else most_epochs(recipe, specification.vary, catalog, step)
        study = Study(specification, self.search.journal, start, epochs)
        watch = None if step is None else Watch(specification.pruner, step, study.is_behind)
        runner = QueueRunner(self.workspace, self.search, lambda: self.ending, self.worker, watch)
        Loop(specification, study, runner, catalog, self.search.write, before).run()

    def _check(self, specification: Specification, catalog: Catalog) -> None:
        """Raises UserError where the previews show that a bound cannot be met."""
        if specification.bounds.bytes is None and specification.minutes is None:
            return
        found = reach(specification, catalog, self._preview)
        if found is not None:
            refuse(specification, found)

    def _preview(self, recipe: str) -> Preview:
        return ask(self.workspace, PreviewRequest(recipe))

    def _end(self, status: str, error: UserError) -> None:
        told = {**error.to_json(), "message": str(error)}
        data = {**self.search.progress().model_dump(), "status": status, "error": told}
        self.search.write(Progress.model_validate(data))


def as_it_is(specification: Specification, catalog: Catalog) -> dict[str, Value]:
    """The recipe's own values, where they lie within what varies: they are tried first. Else nothing."""
    recipe = specification.base()
    found: dict[str, Value] = {}
    for vary in specification.vary:
        value = space.current(recipe, vary.path, catalog)
        if value is None or not vary.holds(value):
            return {}
        found[vary.path] = value
    return found


def main(arguments: list[str]) -> None:
    workspace = Workspace.named(Path(arguments[0]))
    driver = Driver(workspace, find(workspace, arguments[1]), tuple(arguments[2:]) or WORKER)

    def stop(signum: int, frame: FrameType | None) -> None:
        driver.ending = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.exit(None if driver.serve() else TAKEN)


if __name__ == "__main__":
    main(sys.argv[1:])
