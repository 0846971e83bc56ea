"""The worker: a process that has torch loaded and waits on its stdin for a run or a job.

Lines are JSON: {"run": folder} or {"job": folder}; it says `ready` on stdout once it is. See core.launcher.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import select
import sys
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path

import onnxruntime  # noqa: F401  (loaded while the worker waits, so that a run starts at once)
import timm  # noqa: F401
import torch
import torchvision  # noqa: F401

from core.engine.bench import CancelledError
from core.engine.conductor import conduct
from core.engine.jobs import answer
from core.errors import UserError, UserErrors
from core.events import RunCancelled, RunFailed, RunPaused
from core.jobs import Job
from core.runs import Run

OURS = "a fault of the program"
CHUNK = 65536
EXPORTER = (
    "onnxscript", "torch._functorch.aot_autograd", "torch.onnx._internal.exporter._core",
    "onnxscript.function_libs.torch_lib.ops", "torch.export._trace", "torch._inductor.sizevars",
    "torch._inductor.fx_passes.dedupe_symint_uses", "sympy.combinatorics", "sympy.tensor.tensor",
    "onnxscript.rewriter",
)  # fmt: skip


class Orders:
    """Lines of JSON from a pipe; unlike a text file's, none lies in a buffer that nobody can look into."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self._read = b""
        self._ended = False

    def waiting(self) -> bool:
        """Whether a whole line is there; never waits for one."""
        while not self._ended and b"\n" not in self._read and select.select([self.pipe], [], [], 0)[0]:
            self._fill()
        return b"\n" in self._read

    def next(self) -> dict[str, str] | None:
        """The next line, once it is there; None at the end."""
        while not self._ended and b"\n" not in self._read:
            self._fill()
        line, found, self._read = self._read.partition(b"\n")
        return json.loads(line) if found else None

    def _fill(self) -> None:
        more = os.read(self.pipe, CHUNK)
        self._read, self._ended = self._read + more, not more


def main() -> None:
    """Serves lines until stdin ends; a run ends the process, so that each run is a process of its own."""
    print("ready", flush=True)
    prepare_to_export()
    orders = Orders(sys.stdin.fileno())
    while (order := orders.next()) is not None:
        if "run" in order:
            execute(Run(Path(order["run"])))
            return
        answer(Job(Path(order["job"]), partial(answer_others, orders)))


def answer_others(orders: Orders) -> None:
    """Answers the jobs that have come in while a long one is at work; whoever asked may have gone meanwhile."""
    while orders.waiting() and (order := orders.next()) is not None:
        with suppress(OSError):
            answer(Job(Path(order["job"])))


def prepare_to_export() -> None:
    """Imports what the first export of a graph will need, one module after another, until somebody wants something."""
    for name in EXPORTER:
        waiting, _, _ = select.select([sys.stdin], [], [], 0)
        if waiting:
            return
        with suppress(ImportError):  # inner modules of libraries: another version may have others
            importlib.import_module(name)


def execute(run: Run) -> None:
    """Conducts the run; however it ends, the run's log says so."""
    with run.claim() as mine:
        if not mine:
            return
        try:
            conduct(run, os.getpid())
        except CancelledError:
            run.emit(RunCancelled() if run.cancel_requested() else RunPaused("asked for by a person"))
        except (UserError, UserErrors) as error:
            run.emit(RunFailed(_told(error), traceback.format_exc()))
        except (MemoryError, torch.OutOfMemoryError) as error:
            run.emit(RunFailed(_out_of_memory(error), traceback.format_exc()))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                run.emit(RunFailed(_fault(error), traceback.format_exc()))
                raise
            run.emit(RunPaused(f"the disk is full ({error.filename or run.folder}): free some space, then resume"))
        except RuntimeError as error:
            memory = "not enough memory" in str(error) or "can't allocate memory" in str(error)
            told = _out_of_memory(error) if memory else _fault(error)
            run.emit(RunFailed(told, traceback.format_exc()))
            if not memory:
                raise
        except Exception as error:
            run.emit(RunFailed(_fault(error), traceback.format_exc()))
            raise


def _told(error: UserError | UserErrors) -> dict[str, str]:
    first = error.errors[0] if isinstance(error, UserErrors) else error
    return {**first.to_json(), "message": str(error)}


def _out_of_memory(error: BaseException) -> dict[str, str]:
    fix = "Halve the step's batch, choose a smaller image_size, or close other programs."
    found = UserError("out_of_memory", "batch", str(error), "what fits into memory", fix)
    return {**found.to_json(), "message": f"Out of memory. {fix}"}


def _fault(error: BaseException) -> dict[str, str]:
    fix = "Please report it with the details below; resuming the run goes on from its last checkpoint."
    found = UserError("internal", "engine", f"{type(error).__name__}: {error}", OURS, fix)
    return {**found.to_json(), "message": f"A fault of ours: {type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
