"""The second process of a run: `python -m core.engine.pipeline.beside_child RUN-FOLDER` makes controls.

Lines of JSON on stdin: {"seed": 0, "step": 1, "code": "without_teacher", "early": false} is a control to make, an early
one is not measured; {"stop": true} ends it after its batch, with a checkpoint; the end of stdin, which is the death of
the first process, ends it at once. On stdout: {"ready": true}, {"event": LINE} for each event of the run, and
{"done": true} after each control.

It holds the lock of those who work while it imports the engine, so that no latency is measured beside that.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from types import FrameType
from typing import Any, BinaryIO

from core.events import Event
from core.hardware.alone import Turns
from core.runs import Run
from core.workspace import Workspace


class ToldRun(Run):
    """A run whose events are told to the process that writes them, as long as `speaks` is True."""

    def __init__(self, folder: Path, pipe: BinaryIO) -> None:
        super().__init__(folder)
        self.speaks = False
        self._pipe = pipe
        self._one = Lock()

    def emit(self, *events: Event) -> None:
        """Tells the events; the process that writes them numbers them. Raises BrokenPipeError if it is dead."""
        for event in events if self.speaks else ():
            self.tell({"event": event.to_line()})

    def tell(self, message: dict[str, object]) -> None:
        """One line to the first process."""
        with self._one:
            self._pipe.write(json.dumps(message).encode() + b"\n")
            self._pipe.flush()


Order = dict[str, Any]


def listen(run: ToldRun, orders: SimpleQueue[Order | None]) -> None:
    """Puts the orders into a queue, None for the last; ends this process once the first one is dead."""
    for line in sys.stdin.buffer:
        order: Order = json.loads(line)
        if "stop" in order:
            run.ending = True
            orders.put(None)
        else:
            orders.put(order)
    os._exit(1)


def given(orders: SimpleQueue[Order | None]) -> Iterator[Order]:
    """The orders until the last."""
    while (order := orders.get()) is not None:
        yield order


def own_pipe() -> BinaryIO:
    """The pipe to the first process; whatever else is printed goes to the log instead."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


def main(folder: Path) -> None:
    """Serves orders until told to stop; ends with the error of a control that could not be made."""
    run, orders = ToldRun(folder, own_pipe()), SimpleQueue[Order | None]()

    def end(signum: int, frame: FrameType | None) -> None:
        run.ending = True
        orders.put(None)

    signal.signal(signal.SIGTERM, end)
    Thread(target=listen, args=(run, orders), daemon=True).start()
    turns = Turns.of(Workspace(folder.parent.parent).cache)
    with turns.at_work():
        from core.engine.context import CancelledError
        from core.engine.pipeline.run import begun_chain, stopping
        from core.engine.worker import prepare_to_export

        chain = begun_chain(run, turns)  # the first process has told what there is to tell of it
        run.speaks = True
        run.tell({"ready": True})
        prepare_to_export(lambda: not orders.empty())
    for order in given(orders):
        with suppress(CancelledError), turns.at_work(stopping(run)):
            mine = chain.of_seed(order["seed"])
            (mine.early_control if order["early"] else mine.control)(order["step"], order["code"])
            run.tell({"done": True})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
