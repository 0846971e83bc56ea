"""Whether latency measured while another run trains equals latency measured on the idle machine.

`python -m tests.bench.alone [--pairs N] [--short]`. A file is timed in pairs: on the idle machine, and while another
process trains and gives way, as runs do; beside them as a check, while it trains and does not give way. Medians of the
ratio to the idle machine with lowest and highest of n. A pair further apart than 3 % is flagged.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from core.engine.backbones import find, load_backbone
from core.engine.export.graph import write_graph
from core.engine.measure.latency import time_files
from core.engine.model import Model
from core.hardware.alone import Turns
from core.hardware.machine import machine

APART = 0.03  # as a share of the latency; pairs further apart are flagged
SECONDS = 1.5  # of each timing, as in a run
TRAINING = """
import sys
from pathlib import Path
import torch
from torch import nn
from core.hardware.alone import Turns
torch.set_num_threads(1)
turns = Turns(Path(sys.argv[1]))
net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.LazyLinear(10))
images = torch.randn(64, 3, 32, 32)
rate = torch.optim.SGD([p for p in net.parameters() if not isinstance(p, nn.UninitializedParameter)], lr=1e-3)
print("training", flush=True)
with turns.at_work():
    while True:
        net(images).logsumexp(1).mean().backward()
        rate.step()
        turns.give_way()
"""


@dataclass(frozen=True)
class Pair:
    """The latency while another process trains, divided by that on the idle machine: with turns, and without."""

    in_turn: float
    beside: float

    @property
    def is_apart(self) -> bool:
        return abs(self.in_turn - 1) > APART


@contextmanager
def training(folder: Path) -> Iterator[None]:
    """Another process that trains on one thread and gives way to whoever holds the turns in `folder`."""
    command = [sys.executable, "-c", TRAINING, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def pairs(count: int, seconds: float) -> list[Pair]:
    """So many pairs, in turn, so that drift affects all alike."""
    found = []
    with TemporaryDirectory() as place:
        folder = Path(place)
        path = written(folder)

        def timed(*, alone: bool) -> float:
            turns = Turns(folder)
            with turns.alone() if alone else nullcontext(True) as is_alone:
                assert is_alone, "the other process did not give way"
                timing = time_files({"": path}, 1, seconds)[""]
            turns.close()
            return median(timing.milliseconds)

        for _ in range(count):
            idle = timed(alone=False)
            with training(folder):
                found.append(Pair(timed(alone=True) / idle, timed(alone=False) / idle))
    return found


def written(folder: Path) -> Path:
    """The file that is timed: the demo's student."""
    torch.manual_seed(0)
    net = load_backbone("resnet8", 10, "none", 28, channels=1)
    path = folder / "model.onnx"
    write_graph(Model(net, "resnet8", tuple("0123456789"), find("resnet8").preprocessing(28, 1), 16), path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--short", action="store_true", help="a hundredth of the time: only to see that it works")
    given = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine().processor}, {machine().cores} cores, n = {given.pairs}")
    print(f"load before: {os.getloadavg()[0]:.1f} (no measurement above 0.5)")
    began = time.monotonic()
    found = pairs(given.pairs, SECONDS / 100 if given.short else SECONDS)
    for name, ratios in (("in turn", [p.in_turn for p in found]), ("beside it", [p.beside for p in found])):
        print(f"{name:10} {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) of the idle machine's latency")
    apart = sum(pair.is_apart for pair in found)
    print(f"{apart} of {len(found)} pairs in turn are more than {APART:.0%} apart ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
