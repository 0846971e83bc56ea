"""Number format of training, chosen by a short timed trial rather than by belief."""

from __future__ import annotations

import copy
import time
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from core.engine.bench import Bench
from core.engine.model import Model

TRIAL_BATCHES = 3
GAIN_NEEDED = 1.2  # bfloat16 must be this much faster: it costs a little accuracy of the sums


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[None]:
    """Autocast to `precision`; float32 means none."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def choose_precision(model: Model, batch: int, bench: Bench) -> torch.dtype:
    """What the recipe names, else the faster of float32 and bfloat16 for this network on this device.

    `auto` times a few training steps of a copy in each format, interleaved, and takes bfloat16 only when it is at
    least 1.2× faster: depthwise networks are slower in it on a CPU.
    """
    if bench.precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[bench.precision]
    if bench.device.type == "mps":
        return torch.float32
    p = model.preprocessing
    net = copy.deepcopy(model.net).to(bench.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    images = torch.rand(batch, p.channels, p.size, p.size, device=bench.device)
    images = images.contiguous(memory_format=torch.channels_last)
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    for trial in range(TRIAL_BATCHES):
        for precision in best:
            bench.stop_if_cancelled()
            seconds = _step(net, images, bench.device, precision)
            if trial:  # the first of each warms up
                best[precision] = min(best[precision], seconds)
    return torch.bfloat16 if best[torch.float32] > GAIN_NEEDED * best[torch.bfloat16] else torch.float32


def _step(net: nn.Module, images: Tensor, device: torch.device, precision: torch.dtype) -> float:
    start = time.perf_counter()
    with autocast(device, precision):
        logits = net(images)
    logits.float().square().mean().backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
