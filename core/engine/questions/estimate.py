"""Estimates time and memory of work from a few batches that are really run on this device."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar

import psutil
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.context import Context
from core.engine.data.augment import prepare
from core.engine.forecast import Kind, Workload
from core.engine.measure.anatomy import Anatomy, anatomy
from core.engine.measure.complexity import Complexity, complexity
from core.engine.model import Model
from core.engine.threads import shared
from core.engine.training.batches import IN_MEMORY
from core.engine.training.memory_layout import arrange, arranged, choose_layout
from core.engine.training.precision import autocast, choose_precision

BUDGET = 0.8  # seconds of timing for one preview
PASSES = 2  # timed passes at most, after one for warm-up
AT_ONCE = 64  # images of a timed forward pass
GUESS = 5e9  # multiply-accumulates per second and thread, to choose the number of timed images
PARALLEL = 0.9  # n threads do n ** 0.9 times the work of one
RUNTIME = 0.65  # a saved file's time in onnxruntime over torch's: 0.42 (depthwise) … 0.90 (resnet18), 7 networks
FLOPS = 1e10  # double-precision operations a second of the probe's search
POINT = (1.7, 2.0, 2.6)  # seconds to open a file's sessions and time its latency, without its accuracy
OPENED = (0.7, 1.4, 2.7)  # seconds to open a file in a further runtime, in a process of its own, and time it there
THERE = 2.0  # its time for one image after another over onnxruntime's in batches (OpenVINO: 1.5 … 2.3, 3 networks)
EXPORT = (0.4, 0.02)  # seconds to write a graph: base, and per operation (0.01 … 0.04 measured on 7 networks)
CONVERT = 0.3  # seconds to quantize a file, without calibration
SPREAD = 1.3  # factor between times of undisturbed runs
LIBRARIES = 260e6  # bytes added to a worker by the exporter and its libraries
COPIES = 8  # of the weights while a network trains: gradients, momenta, the best and the last whole epoch's state


@dataclass(frozen=True)
class Seconds:
    """A likely time in seconds, and its range."""

    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def __mul__(self, times: float) -> Seconds:
        return Seconds(self.low * times, self.likely * times, self.high * times)

    @classmethod
    def about(cls, likely: float, spread: float = SPREAD) -> Seconds:
        """A time with a range of `spread` times less to `spread` times more."""
        return cls(likely / spread, likely, likely * spread)


T = TypeVar("T")


def architecture(model: Model) -> str:
    """Identifies a network by its shapes and trainable parameters: equal ones have equal costs."""
    facts = [model.backbone, model.preprocessing.size, model.preprocessing.channels, len(model.classes)]
    shapes = [(name, tuple(p.shape), p.requires_grad) for name, p in model.net.named_parameters()]
    return sha256(repr((facts, shapes)).encode()).hexdigest()


def by_architecture(count: Callable[[Model], T]) -> Callable[[Model], T]:
    """`count`, computed once per architecture; keeps no network in memory."""
    known: dict[str, T] = {}

    def counted(model: Model) -> T:
        name = architecture(model)
        if name not in known:
            known[name] = count(model)
        return known[name]

    return counted


@by_architecture
def cost(model: Model) -> Complexity:
    """Parameters and MACs as reported for a point."""
    return complexity(model.net, _shape(model))


@by_architecture
def parts(model: Model) -> Anatomy:
    """The components of its file and its activations."""
    return anatomy(model.net, _shape(model))


def mean_cost(model: Model) -> float:
    """Multiply-accumulates an image of a layer that has some, about as `training.operation_threads` counts them."""
    layers = [module for module in model.net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return cost(model).macs / max(len(layers), 1)


def _shape(model: Model) -> tuple[int, int, int]:
    p = model.preprocessing
    return (p.channels, p.size, p.size)


class Stopwatch:
    """Times work in one context; results are remembered while the process lives."""

    known: dict[tuple[object, ...], Seconds] = {}  # noqa: RUF012 (shared on purpose: a worker keeps it between previews)

    def __init__(self, context: Context) -> None:
        self.context = context
        self.waiting = 1  # kinds of work not yet timed, which share the budget

    def seconds(self, works: Iterable[Workload]) -> Seconds:
        """The time of all work, one after another."""
        total = Seconds()
        for work in works:
            total += Seconds.about(work.operations / FLOPS, 2.5)
            if work.images:
                total += self._pace(work) * (work.images * self._share(work))
        return total

    def _share(self, work: Workload) -> float:
        """The factor for the number of threads, and for saved files, which are faster than torch and use all of the
        run's threads."""
        if self.context.device.type != "cpu":
            return 1.0
        cores = min(self.context.threads, os.cpu_count() or 1)
        threads = cores if work.kind == "answer" else shared(work.batch * mean_cost(work.model), cores)
        return (RUNTIME if work.kind == "answer" else 1.0) / float(threads**PARALLEL)

    def expect(self, works: Iterable[Workload]) -> None:
        """Announces work, so that the budget is shared fairly."""
        self.waiting = len({self._key(work) for work in works if work.images} - self.known.keys())

    def _pace(self, work: Workload) -> Seconds:
        """Seconds per image."""
        key = self._key(work)
        if key not in self.known:
            self.known[key] = _timed(work, self.context, BUDGET / max(1, self.waiting))
        return self.known[key]

    def _key(self, work: Workload) -> tuple[object, ...]:
        context = self.context
        batch = work.batch if work.kind == "train" else AT_ONCE
        pixels = (context.data.size, context.data.channels)
        kind = "forward" if work.kind == "answer" else work.kind
        return (architecture(work.model), kind, batch, str(context.device), context.precision, context.bfloat16, pixels)


def _timed(work: Workload, context: Context, budget: float) -> Seconds:
    """Seconds per image on one CPU thread, or on another device as a whole.

    On a CPU, processor time is used: with one thread it hardly depends on how busy the machine is, while the wall time
    of several threads that wait for each other can grow tenfold. `high` is from the wall time.
    """
    macs = max(1, cost(work.model).macs) * (3 if work.kind == "train" else 1)
    batch = work.batch if work.kind == "train" else AT_ONCE
    count = max(2, min(batch, int(budget * GUESS / macs / 2)))
    net = copy.deepcopy(work.model.net).to(context.device)
    arrange(net, choose_layout(net, context.device))
    act = _act(net, work.kind, _images(count, context), work.model, context)
    wall, processor = _fastest(act, budget, context.device)
    likely = (processor if context.device.type == "cpu" else wall) / count
    spread = SPREAD * (1.0 if count == batch else 1.2)
    return Seconds(likely / spread, likely, max(likely, wall / count) * spread)


def _fastest(act: Callable[[], object], budget: float, device: torch.device) -> tuple[float, float]:
    """(wall, processor) seconds of the fastest pass; the first one, which also prepares kernels, counts only if it took
    several times the budget."""
    found: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(found) <= PASSES:
        wall, processor = time.perf_counter(), time.process_time()
        act()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append((time.perf_counter() - wall, time.process_time() - processor))
        spent = time.perf_counter() - began
        if spent > 3 * budget or (len(found) > 1 and spent > budget - found[-1][0]):
            break
    return min(found[1:] or found, key=lambda pair: pair[device.type == "cpu"])


def _images(count: int, context: Context) -> Tensor:
    data = context.data
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, data.channels, data.size, data.size), dtype=torch.uint8, generator=draw)


def _act(net: nn.Module, kind: Kind, raw: Tensor, model: Model, context: Context) -> Callable[[], object]:
    """A function that does one pass over `raw`, from pixels to logits or to the optimizer step."""
    raw = raw.to(context.device)
    precision = choose_precision(net, context)
    layout = choose_layout(net, context.device)
    target = torch.arange(len(raw), device=context.device) % len(model.classes)
    net.train(kind == "train")
    learning = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.0, momentum=0.9)

    def answer() -> Tensor:
        images = arranged(prepare(raw, model.preprocessing), layout)
        with autocast(context.device, precision):
            logits: Tensor = net(images)
        return logits.float()

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(answer(), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return train if kind == "train" else torch.no_grad()(answer)


# memory


@lru_cache(1)
def resting() -> int:
    """Bytes used by this process at the first call: a worker with its libraries, before its first network."""
    return int(psutil.Process().memory_info().rss)


def held(work: Workload, context: Context) -> float:
    """Bytes that a piece of work adds at its peak."""
    found = parts(work.model)
    weights = 4.0 * cost(work.model).params
    if work.kind == "train":
        return COPIES * weights + 2 * 4.0 * found.activations * work.batch
    return 2 * weights + 3 * 4.0 * found.largest * work.batch


def pixels(context: Context) -> float:
    """Bytes of the images that must be in memory: the three splits and the target's, and one view of those trained on,
    each up to what is kept there. Larger ones lie in mapped files, which the system drops when it needs the room."""
    data = context.data
    image = data.channels * data.size**2
    trained = len(context.labelled) + len(context.pool)
    other = len(context.target.images) if context.target else 0
    everything = image * (len(data.train) + len(data.validation) + len(data.test) + other)
    return float(min(everything, IN_MEMORY) + 2 * min(image * trained, IN_MEMORY))
