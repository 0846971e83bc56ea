"""Further runtimes in which a saved file is measured where they are installed, each in a process of its own.

A runtime may change the state of its process (threads, the rounding of denormal numbers); the run's own process
computes the same with and without it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from core.engine.confined_child import GLANCE, STILL, Conversation, StoppedError, end_child, start_child
from core.engine.data import Dataset, Split
from core.engine.measure.calibration import wilson_interval
from core.engine.measure.evaluate import scored
from core.engine.measure.file import Quality
from core.engine.measure.latency import Timing, compared
from core.engine.measure.runtime import prepared_as_bundled
from core.engine.measure.turn import Turn
from core.engine.model import Preprocessing
from core.points import InRuntime
from core.recipe import Recipe
from core.runtimes import CUDA, INSTALLED, OPENVINO, title

CHILD = Path(__file__).with_name("runtime_child.py")
SECONDS = 300.0  # of processor time for one answer
MOST = 2**28  # bytes of an answer
OF_GPUS = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")  # environment variables that a child needs there


@dataclass(frozen=True)
class Runtime:
    """A further runtime: its name in points, its version, and the script that opens files in it."""

    name: str
    version: str
    script: Path = CHILD


def installed(device: torch.device) -> tuple[Runtime, ...]:
    """OpenVINO where its extra is installed; onnxruntime's CUDA provider where it is and the run uses a GPU."""
    found = []
    if find_spec("openvino") is not None:
        found.append(Runtime(OPENVINO, _version("openvino")))
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        found.append(Runtime(CUDA, onnxruntime.__version__))
    return tuple(found)


def asked_for(recipe: Recipe, device: torch.device) -> tuple[Runtime, ...]:
    """The further runtimes in which a run of the recipe is measured on this machine."""
    return installed(device) if recipe.runtimes == INSTALLED else ()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


class UnansweredError(Exception):
    """Why a runtime gave no answer; the message is what follows `not measured in …:`."""


@dataclass(frozen=True)
class OpenFile:
    """A file opened in a further runtime; `told` is what `runtime_child.Opened.told` says of it. Every call raises
    UnansweredError, or what `check` raises, which is called while one waits."""

    runtime: Runtime
    threads: int
    told: dict[str, Any]
    child: subprocess.Popen[bytes]
    check: Callable[[], None]

    @property
    def name(self) -> str:
        return self.runtime.name

    @property
    def device(self) -> str:
        return str(self.told["device"])

    def turn(self, seconds: float) -> Turn:
        """A turn of timed runs with one image."""
        return Turn(**json.loads(_asked(self.child, self.check, {"turn": seconds})))

    def logits(self, split: Split, preprocessing: Preprocessing, step: Callable[[int], None]) -> Tensor:
        """Logits [N, classes] of a split, image by image; `step` is called with the number done."""
        rows: list[Tensor] = []
        for batch in prepared_as_bundled(split.images, preprocessing):
            data = _asked(self.child, self.check, {"answer": len(batch)}, np.ascontiguousarray(batch).tobytes())
            rows.append(torch.from_numpy(np.frombuffer(data, np.float32).reshape(len(batch), -1).copy()))
            step(sum(map(len, rows)))
        return torch.cat(rows)


@contextmanager
def open_in(
    runtime: Runtime, path: Path, threads: int, shape: Sequence[int], check: Callable[[], None] = lambda: None
) -> Iterator[OpenFile]:
    """The file for images of `shape` [channels, S, S] in a process of its own; raises UnansweredError."""
    inherited = {name: os.environ[name] for name in OF_GPUS if name in os.environ}
    child = start_child(runtime.script, OPENBLAS_NUM_THREADS="1", **inherited)
    try:
        order = {"open": str(path.absolute()), "runtime": runtime.name, "threads": threads, "shape": list(shape)}
        told = json.loads(_asked(child, check, order))
        if "refused" in told:
            raise UnansweredError(f"it does not run this file ({told['refused']})")
        yield OpenFile(runtime, threads, told, child, check)
    finally:
        end_child(child)


def _asked(child: subprocess.Popen[bytes], check: Callable[[], None], order: object, data: bytes = b"") -> bytes:
    """The answer of a child to an order, which `data` follows."""
    try:
        talk = Conversation(child, SECONDS, STILL, GLANCE, check)
        talk.write_part(json.dumps(order).encode())
        if data:
            talk.write(data)
        return talk.read_part(MOST)
    except (TimeoutError, StoppedError) as error:
        raise UnansweredError("it did not answer in time") from error
    except (EOFError, OSError, ValueError) as error:
        raise UnansweredError("its process ended before it answered") from error


def open_all(
    stack: ExitStack,
    runtimes: Sequence[Runtime],
    path: Path,
    threads: int,
    shape: Sequence[int],
    check: Callable[[], None],
) -> tuple[list[OpenFile], list[str]]:
    """The file in each of `runtimes`, until `stack` is closed, and a sentence for each that does not run it."""
    files, notes = [], []
    for runtime in runtimes:
        try:
            files.append(stack.enter_context(open_in(runtime, path, threads, shape, check)))
        except UnansweredError as error:
            notes.append(not_measured(runtime.name, error))
    return files, notes


def not_measured(name: str, error: UnansweredError) -> str:
    """For the receipt: why there is no measurement in a runtime."""
    return f"Not measured in {title(name)}: {error}."


def measured(
    file: OpenFile,
    timing: Timing,
    here: Timing,
    quality: Quality,
    preprocessing: Preprocessing,
    data: Dataset,
    step: Callable[[int, int], None],
) -> InRuntime:
    """The file's figures in a further runtime beside `here` and `quality`, its timing and answers in onnxruntime, with
    which it was timed in turns; `step` is called with (images done, total images). Raises UnansweredError."""
    total, done = len(data.validation) + len(data.test), len(data.validation)
    validation = file.logits(data.validation, preprocessing, lambda n: step(n, total))
    test = file.logits(data.test, preprocessing, lambda n: step(done + n, total))
    found = scored(test, data.test.labels)
    low, high = wilson_interval(found.right, len(data.test))
    far = ((validation - quality.logits).abs().max(), (test - quality.test_logits).abs().max())
    facts = {name: file.told[name] for name in ("version", "precision", "by_default", "layers")}
    return InRuntime(
        **facts,
        accuracy=found.accuracy,
        accuracy_low=low,
        accuracy_high=high,
        validation_accuracy=scored(validation, data.validation.labels).accuracy,
        agreement=float((test.argmax(1) == quality.test_logits.argmax(1)).double().mean()),
        difference=float(max(far)),
        latency_ms=timing.latency(),
        **compared(here, timing),
    )
