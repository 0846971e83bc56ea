"""How much to cut: the smallest ratio at which a bound holds, found by halving."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from core.engine.bench import Bench
from core.engine.export.graph import write_graph
from core.engine.measure.complexity import complexity
from core.engine.measure.latency import time_files
from core.engine.model import Model
from core.errors import UserError
from core.files import lock, make_folder

STEPS = 256  # ratios that are told apart
SECONDS = 0.6  # of timing a candidate
MARGIN = 0.97  # of a latency bound: timings of the finished file will differ a little

COUNTED = ("parameters", "macs")  # exactly, from the shapes alone
KINDS = (*COUNTED, "bytes", "latency")


def measure(kind: str, model: Model, bench: Bench) -> float:
    """Parameters, multiply-accumulates, bytes of the float32 file, or its median milliseconds on this machine."""
    p = model.preprocessing
    if kind in COUNTED:
        found = complexity(model.net, (p.channels, p.size, p.size))
        return found.params if kind == "parameters" else found.macs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_graph(model, path)
        return path.stat().st_size if kind == "bytes" else milliseconds({"": path}, bench)[""] / MARGIN


def milliseconds(files: dict[str, Path], bench: Bench) -> dict[str, float]:
    """The median latency of files, taken in turns while nothing else in the workspace is timed."""
    with lock(make_folder(bench.cache) / "measuring.lock"):
        found = time_files(files, bench.latency_threads, SECONDS * len(files), stop=bench.stop_if_cancelled)
    return {name: timing.latency().p50 for name, timing in found.items()}


def search(size: Callable[[float], float], limit: float, largest: float) -> float:
    """The smallest ratio, in steps of `largest` / 256, whose `size` is at most `limit`.

    Raises UserError unreachable_target with the smallest size there is.
    """
    refuse_unreachable(size(largest), limit)
    holds, fails = STEPS, -1
    while holds - fails > 1:
        middle = (holds + fails) // 2
        if size(largest * middle / STEPS) <= limit:
            holds = middle
        else:
            fails = middle
    return largest * holds / STEPS


def refuse_unreachable(smallest: float, limit: float) -> None:
    """Raises UserError unreachable_target where what is left at the largest ratio, `smallest`, is still too much."""
    if smallest > limit:
        shown = f"{smallest:,.0f}" if smallest >= 100 else f"{smallest:.4g}"
        allowed = f"at least {shown} for this model"
        fix = "Raise the bound, choose another target, or begin with a smaller network."
        raise UserError("unreachable_target", "limit", limit, allowed, fix)
