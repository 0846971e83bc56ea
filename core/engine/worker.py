"""The worker: a process with torch loaded that waits on its stdin for a run or jobs.

Lines are JSON: {"run": folder} or {"job": folder}; it prints `ready` first. See core.processes.workers.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType

import onnxruntime  # noqa: F401  (loaded while the worker waits, so that runs start at once)
import timm  # noqa: F401
import torch
import torchvision  # noqa: F401

from core.engine.context import CancelledError
from core.engine.pipeline.run import run_recipe
from core.engine.questions.answer import answer
from core.errors import UserError, UserErrors
from core.events import RunCancelled, RunFailed, RunPaused
from core.files import FULL
from core.hardware.alone import Turns
from core.hardware.machine import GPU
from core.jobs import Job
from core.processes.run_monitor import DISK_FULL_EXIT
from core.runs import Run
from core.storage.disk import disk_error, pause_reason

OURS = "a fault of the program"
CHUNK = 65536
EXPORTER = (
    "onnxscript",
    "torch._functorch.aot_autograd",
    "torch.onnx._internal.exporter._core",
    "onnxscript.function_libs.torch_lib.ops",
    "torch.export._trace",
    "torch._inductor.sizevars",
    "torch._inductor.fx_passes.dedupe_symint_uses",
    "sympy.combinatorics",
    "sympy.tensor.tensor",
    "onnxscript.rewriter",
)


class Orders:
    """Lines of JSON from a pipe, with a buffer of its own, so that `waiting` can look into it."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self._read = b""
        self._ended = False

    def waiting(self) -> bool:
        """Whether a whole line has arrived; never blocks."""
        while not self._ended and b"\n" not in self._read and select.select([self.pipe], [], [], 0)[0]:
            self._fill()
        return b"\n" in self._read

    def next(self) -> dict[str, str] | None:
        """The next line, waiting for it; None at the end."""
        while not self._ended and b"\n" not in self._read:
            self._fill()
        line, found, self._read = self._read.partition(b"\n")
        return json.loads(line) if found else None

    def _fill(self) -> None:
        more = os.read(self.pipe, CHUNK)
        self._read, self._ended = self._read + more, not more


def main() -> None:
    """Serves orders until stdin ends; the process ends after a run, so that each run has its own process."""
    print("ready", flush=True)
    prepare_beside_others()
    orders = Orders(sys.stdin.fileno())
    while (order := orders.next()) is not None:
        if "gpu" in order:
            use_gpu(int(order["gpu"]))
        if "run" in order:
            execute(Run(Path(order["run"])))
            return
        answer(Job(Path(order["job"]), partial(answer_others, orders)))


def use_gpu(index: int) -> None:
    """Lets this process see one GPU alone, of those it may use; before CUDA is first used."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",") if name.strip()]
    os.environ["CUDA_VISIBLE_DEVICES"] = names[index] if index < len(names) else str(index)
    os.environ[GPU] = str(index)


def answer_others(orders: Orders) -> None:
    """Answers the jobs that have arrived during a long one; those who asked may be gone."""
    while orders.waiting() and (order := orders.next()) is not None:
        with suppress(OSError):
            answer(Job(Path(order["job"])))


def prepare_beside_others() -> None:
    """As `prepare_to_export`, until an order arrives on stdin; lets others measure meanwhile."""

    def waits() -> bool:
        return bool(select.select([sys.stdin], [], [], 0)[0])

    def check() -> None:
        if waits():
            raise CancelledError

    def pause() -> bool:
        turns.give_way(check)
        return waits()

    with closing(Turns.of(Path(tempfile.gettempdir()))) as turns, suppress(CancelledError), turns.at_work(check):
        prepare_to_export(pause)


def prepare_to_export(waits: Callable[[], bool]) -> None:
    """Imports the modules that the first export will need, one by one, until an order `waits`."""
    for name in EXPORTER:
        if waits():
            return
        with suppress(ImportError):  # private modules of libraries, which other versions may lack
            importlib.import_module(name)


def execute(run: Run) -> None:
    """Does the run, and records in its log how it ended."""
    with run.claim() as mine:
        if not mine:
            print("The run has ended, or another process holds its run.lock.", file=sys.stderr)
            return
        try:
            with _ending_in_order(run):
                run_recipe(run, os.getpid())
        except CancelledError:
            if not run.cancel_requested() and not run.pause_requested():
                _end_as_asked()
            run.emit(RunCancelled() if run.cancel_requested() else run.why_pause())
        except (UserError, UserErrors) as error:
            run.emit(RunFailed(_described(error), traceback.format_exc()))
        except (MemoryError, torch.OutOfMemoryError) as error:
            run.emit(RunFailed(_out_of_memory(error), traceback.format_exc()))
        except OSError as error:
            _record_disk_error(run, error)
        except RuntimeError as error:
            memory = "not enough memory" in str(error) or "can't allocate memory" in str(error)
            run.emit(RunFailed(_out_of_memory(error) if memory else _fault(error), traceback.format_exc()))
            if not memory:
                raise
        except Exception as error:
            run.emit(RunFailed(_fault(error), traceback.format_exc()))
            raise


@contextmanager
def _ending_in_order(run: Run) -> Iterator[None]:
    """SIGTERM, from a person or at shutdown, lets the run end after its batch with a checkpoint; a second one ends the
    process at once."""

    def end(signum: int, frame: FrameType | None) -> None:
        run.ending = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_as_asked() -> None:
    """Dies of SIGTERM, so that the monitor knows that the run is not at fault and resumes it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _record_disk_error(run: Run, error: OSError) -> None:
    """A full disk pauses the run; other disk errors fail it, with what to do. If the disk is too full even to record
    that, the exit code tells the supervisor."""
    found = disk_error(error, run.folder)
    full = error.errno in FULL
    try:
        if full:
            run.emit(RunPaused(pause_reason(error, run.folder)))
        else:
            run.emit(RunFailed(_described(found) if found else _fault(error), traceback.format_exc()))
    except OSError:
        if full:
            raise SystemExit(DISK_FULL_EXIT) from error
        raise
    if found is None:
        raise error


def _described(error: UserError | UserErrors) -> dict[str, str]:
    first = error.errors[0] if isinstance(error, UserErrors) else error
    return {**first.to_json(), "message": str(error)}


def _out_of_memory(error: BaseException) -> dict[str, str]:
    fix = "Halve the step's batch, choose a smaller image_size, or close other programs."
    found = UserError("out_of_memory", "batch", str(error), "a batch that fits into memory", fix)
    return {**found.to_json(), "message": f"Out of memory. {fix}"}


def _fault(error: BaseException) -> dict[str, str]:
    fix = "Please report it with the details below. Resuming continues from the last checkpoint."
    found = UserError("internal", "engine", f"{type(error).__name__}: {error}", OURS, fix)
    return {**found.to_json(), "message": f"A fault of the program: {type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
