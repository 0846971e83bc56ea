"""The child process that runs a saved file in a further runtime, which may change the state of its process.

It is started as a plain script (`python -I`) that imports NumPy, one runtime and no module of this project but `turn`,
by its path. It reads `length, JSON` from its standard input: {"open": path, "runtime", "threads", "shape"} first, then
{"answer": count}, followed by that many images of float32, or {"turn": seconds}. It answers `length, JSON`, after
"answer" `length, float32 logits`; {"refused": reason} instead where the runtime cannot do it. Lengths are 8 bytes,
little-endian. Images are answered one by one, by the very network that is timed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # [1, channels, S, S]
Run = Callable[[Images], NDArray[np.float32]]
WARMUP = 10  # runs before the first counted one
LENGTH = 8  # bytes of a length
LONGEST = 300  # characters of a reason
WEIGHTED = ("Convolution", "Deconvolution", "FullyConnected")  # what OpenVINO calls layers that hold weights


class RefusedError(Exception):
    """Why the runtime cannot run the file."""


@dataclass(frozen=True)
class Opened:
    """A file in a runtime: `run` maps [1, channels, S, S] to [1, classes]; the other fields as in
    `core.points.InRuntime`."""

    run: Run
    device: str
    version: str
    precision: str
    by_default: str
    layers: Mapping[str, int] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """All but `run`, as plain data."""
        names = ("device", "version", "precision", "by_default")
        return {**{name: getattr(self, name) for name in names}, "layers": dict(self.layers)}


def _library(name: str) -> Any:
    """A runtime, imported only in the process that needs it."""
    return importlib.import_module(name)


def open_openvino(path: str, threads: int, shape: Sequence[int]) -> Opened:
    """The file in OpenVINO on the CPU, for one image, with floats in float32: untold, it would compute in bfloat16
    where the processor has units for that. Its threads stay on no particular core, as onnxruntime's."""
    openvino = _library("openvino")
    core = openvino.Core()
    asked = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    graph = core.read_model(path)
    graph.reshape([1, *shape])
    compiled = core.compile_model(graph, "CPU", asked)
    request = compiled.create_infer_request()

    def run(image: Images) -> NDArray[np.float32]:
        request.infer([image], share_inputs=True)
        found: NDArray[np.float32] = request.get_output_tensor(0).data
        return found

    types = [found.get_property("INFERENCE_PRECISION_HINT") for found in (compiled, _Default(core))]
    precision, by_default = (kind.get_type_name() for kind in types)
    version = str(openvino.__version__).partition("-")[0]
    return Opened(run, "cpu", version, precision, by_default, _layers(compiled.get_runtime_model()))


@dataclass(frozen=True)
class _Default:
    """The CPU of a core that was told nothing."""

    core: Any

    def get_property(self, name: str) -> Any:
        return self.core.get_property("CPU", name)


def _layers(graph: Any) -> dict[str, int]:
    """How many layers that hold weights run in which type, by OpenVINO's own account of the compiled network."""
    found: Counter[str] = Counter()
    for operator in graph.get_ordered_ops():
        info = operator.get_rt_info()
        if _text(info["layerType"]) in WEIGHTED:
            found[_text(info["runtimePrecision"])] += 1
    return dict(found)


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))


def open_cuda(path: str, threads: int, shape: Sequence[int]) -> Opened:
    """The file in onnxruntime on the first GPU, in float32 and not in TF32, which onnxruntime would choose untold."""
    ort = _library("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    provider = "CUDAExecutionProvider"
    session = ort.InferenceSession(path, options, providers=[(provider, {"use_tf32": "0"}), "CPUExecutionProvider"])
    if provider not in session.get_providers():  # it falls back to the CPU without an error
        raise RefusedError("onnxruntime could not use the GPU; its CUDA or cuDNN libraries may be missing")
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(image: Images) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run([output], {name: image})[0]
        return found

    return Opened(run, "cuda", str(ort.__version__), "f32", "tf32")


OPENERS: dict[str, Callable[[str, int, Sequence[int]], Opened]] = {
    "openvino": open_openvino,
    "onnxruntime-cuda": open_cuda,
}


class Server:
    """Answers questions until its input ends."""

    def __init__(self, source: BinaryIO, drain: BinaryIO) -> None:
        self.source, self.drain = source, drain

    def serve(self) -> None:
        order = self._order()
        if order is None:
            return
        shape = tuple(order["shape"])
        try:
            opened = OPENERS[order["runtime"]](order["open"], order["threads"], shape)
            image = np.random.default_rng(0).standard_normal((1, *shape), dtype=np.float32)
            for _ in range(WARMUP):
                opened.run(image)
        except Exception as error:  # noqa: BLE001  (whatever a runtime raises at a file it does not read)
            self._tell({"refused": _reason(error)})
            return
        self._tell(opened.told())
        while (order := self._order()) is not None:
            if "turn" in order:
                self._tell(_timing().turn(lambda: opened.run(image), order["turn"])._asdict())
            else:
                self._answer(opened, order["answer"], shape)

    def _answer(self, opened: Opened, count: int, shape: tuple[int, ...]) -> None:
        data = self.source.read(4 * count * int(np.prod(shape)))
        images = np.frombuffer(data, np.float32).reshape(count, 1, *shape)
        rows = [np.array(opened.run(image), np.float32).ravel() for image in images]
        self._write(np.stack(rows).tobytes())

    def _order(self) -> dict[str, Any] | None:
        head = self.source.read(LENGTH)
        if len(head) < LENGTH:
            return None
        found: dict[str, Any] = json.loads(self.source.read(int.from_bytes(head, "little")))
        return found

    def _tell(self, answer: object) -> None:
        self._write(json.dumps(answer).encode())

    def _write(self, data: bytes) -> None:
        self.drain.write(len(data).to_bytes(LENGTH, "little") + data)
        self.drain.flush()


def _reason(error: Exception) -> str:
    """The last line of what a runtime said, which is the most particular one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:LONGEST]


def _timing() -> Any:
    """The module `turn` beside this file, which an isolated interpreter finds by its path alone."""
    found = sys.modules.get("turn")
    if found is None:
        place = importlib.util.spec_from_file_location("turn", Path(__file__).with_name("turn.py"))
        assert place is not None
        assert place.loader is not None
        found = sys.modules["turn"] = importlib.util.module_from_spec(place)
        place.loader.exec_module(found)
    return found


def main() -> None:
    drain = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a runtime prints is no answer
    Server(sys.stdin.buffer, drain).serve()


if __name__ == "__main__":
    main()
