"""The time that each layer of a saved file takes, from onnxruntime's own profile.

Profiling slows a file, most of all a small one. So the profile says how the time is shared out, and the latency
measured without it is what is shared out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import onnx

from core.engine.measure.graph import LAYER_KERNELS, RUN, WEIGHTED, layers, profile

KERNEL = "_kernel_time"
GIVEN = re.compile(r"(_nchwc|_token_\d+)+$")  # what onnxruntime puts behind a name when it rewrites a node


@dataclass(frozen=True)
class Times:
    """Microseconds for one image: of each layer by the name of its node, of the other operators by theirs, and of what
    happens between them; they add up to the latency. `slowed`: how many times slower the file was meanwhile."""

    layers: Mapping[str, float]
    others: Mapping[str, float]
    between: float
    slowed: float


def times(path: Path, model: onnx.ModelProto, threads: int, latency: float, runs: int) -> Times:
    """`latency`, in microseconds, shared out as in a profile of `runs` runs of the file at `path`."""
    events = profile(path, threads, runs)
    whole = max(median(event["dur"] for event in events if event["name"] == RUN), 1)
    scale, finder = latency / whole, Finder(model)
    held: dict[str, float] = defaultdict(float)
    others: dict[str, float] = defaultdict(float)
    for (name, op), durations in _by_kernel(event for event in events if event["name"] != RUN).items():
        found = finder.layer(name) if op in LAYER_KERNELS else None
        (others if found is None else held)[found or op] += scale * median(durations)
    return Times(held, others, latency - sum(held.values()) - sum(others.values()), whole / latency)


def _by_kernel(events: Iterable[dict[str, Any]]) -> dict[tuple[str, str], list[int]]:
    """What each kernel, named with its operator, took in every run."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        found[event["name"].removesuffix(KERNEL), event["args"]["op_name"]].append(event["dur"])
    return found


class Finder:
    """The layer of the file that a kernel computes. onnxruntime keeps a node's name, adds something to it, or names a
    fused node after the value that it computes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._held = {layer.name for layer in layers(model)}
        self._makers = {output: node for node in model.graph.node for output in node.output}
        self._stored = {tensor.name for tensor in model.graph.initializer}

    def layer(self, kernel: str) -> str | None:
        plain = GIVEN.sub("", kernel)
        if plain in self._held:
            return plain
        if (maker := self._makers.get(plain)) is not None:
            return self._nearest(maker)
        inside = [name for name in self._held if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", plain)]
        return max(inside, key=len, default=None)

    def _nearest(self, maker: onnx.NodeProto) -> str | None:
        """The layer that a value comes from: up through the first inputs of what was fused onto it."""
        node: onnx.NodeProto | None = maker
        while node is not None and not (node.op_type in WEIGHTED and (node.name or node.output[0]) in self._held):
            inputs = [name for name in node.input if name and name not in self._stored]
            node = self._makers.get(inputs[0]) if inputs else None
        return None if node is None else node.name or node.output[0]
