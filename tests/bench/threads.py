"""Whether the rule of `core.engine.threads` gives an operation as many threads as are fastest.

`python -m tests.bench.threads [--pairs N] [--share MILLIONS …] [--short]`. Training steps of several networks, batches
and image sizes, with one thread an operation and with all cores, in turns; on the machine as it is, and beside a
process that keeps one core busy. Threads sleep while they wait, as in a worker. The regret of a choice is its median
step divided by the faster median; below the table, that of the rule with other shares. The rule sees the work alone, so
results never depend on load: the table only tells whether its constant is a good one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import mean, median, quantiles

import torch
from torch.nn import functional as F

from core.engine.backbones import find, load_backbone
from core.engine.threads import SHARE, on_threads
from core.engine.training.memory_layout import arrange, arranged, choose_layout
from core.engine.training.operation_threads import mean_work
from core.hardware.machine import machine
from core.processes.workers import ASLEEP

SPIN = "while True: pass"
SHARES = (50, 100, 200, 350, 500, 700, 1000, 2000, 5000)  # millions of multiply-accumulates a thread
SITUATIONS = ("alone", "beside one")


@dataclass(frozen=True)
class Case:
    """A training: a network for images of `size` pixels, `batch` of them at once."""

    name: str
    size: int
    channels: int
    batch: int

    def __str__(self) -> str:
        return f"{self.name}, {self.size} px, batch {self.batch}"


CASES = (
    Case("resnet8", 28, 1, 64),
    Case("resnet8", 64, 3, 64),
    Case("resnet8", 96, 3, 128),
    Case("mobilenet_v3_small", 96, 3, 32),
    Case("efficientnet_lite0", 64, 3, 64),
    Case("resnet18", 32, 3, 64),
    Case("resnet18", 64, 3, 64),
    Case("resnet18", 128, 3, 32),
    Case("resnet18", 224, 3, 32),
)


@dataclass(frozen=True)
class Timed:
    """Seconds of each step with one thread an operation and with all cores, in one situation; `work` is the
    multiply-accumulates of a mean operation on a batch."""

    case: Case
    situation: str
    work: float
    seconds: dict[int, list[float]]

    def regret(self, share: float) -> float:
        """The median step with the rule's threads, divided by the fastest median."""
        medians = {threads: median(found) for threads, found in self.seconds.items()}
        threads = max(1, min(max(medians), int(self.work // share)))
        return medians[threads if threads in medians else max(medians)] / min(medians.values())

    def __str__(self) -> str:
        one, many = (self.seconds[threads] for threads in (1, max(self.seconds)))
        ratios = [a / b for a, b in zip(one, many, strict=True)]
        low, _, high = quantiles(ratios, n=4)
        chosen = max(1, min(max(self.seconds), int(self.work // SHARE)))
        times = f"{median(one) * 1000:8.1f} {median(many) * 1000:8.1f}  {median(ratios):4.2f}× ({low:.2f}–{high:.2f})"
        return (
            f"{self.case!s:<38} {self.situation:<11} {self.work / 1e6:8.0f}  {times}  {chosen:>2}"
            f"  {self.regret(SHARE):5.2f}"
        )


def step_of(case: Case) -> tuple[Callable[[], None], float]:
    """A training step of plain float32 in the memory layout of a run, and the work of a mean operation."""
    torch.manual_seed(0)
    net = load_backbone(case.name, 10, "none", case.size, channels=case.channels).train()
    pixels = find(case.name).preprocessing(case.size, case.channels)
    work = case.batch * mean_work(net, (1, pixels.channels, pixels.size, pixels.size))
    layout = choose_layout(net, torch.device("cpu"))
    arrange(net, layout)
    images = arranged(torch.rand(case.batch, case.channels, case.size, case.size), layout)
    target = torch.arange(case.batch) % 10
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(images), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step, work


def timed(case: Case, situation: str, cores: int, pairs: int) -> Timed:
    """So many steps with each number of threads, in turns, after one of each that is not counted."""
    step, work = step_of(case)
    seconds: dict[int, list[float]] = {1: [], cores: []}
    for pair in range(pairs + 1):
        for threads, found in seconds.items():
            with on_threads(threads):
                start = time.perf_counter()
                step()
                if pair:
                    found.append(time.perf_counter() - start)
    return Timed(case, situation, work, seconds)


@contextmanager
def beside(busy: bool) -> Iterator[None]:
    """With `busy`, a process that never waits is at work meanwhile."""
    if not busy:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", SPIN]) as process:
        try:
            yield
        finally:
            process.kill()


def with_other_shares(rows: Sequence[Timed], shares: Sequence[float]) -> str:
    """The mean and the largest regret in each situation, for each share."""
    lines = [f"{'millions a thread':<18} " + "  ".join(f"{name:<22}" for name in SITUATIONS)]
    for share in shares:
        cells = []
        for name in SITUATIONS:
            found = [row.regret(share) for row in rows if row.situation == name]
            cells.append(f"mean {mean(found):.2f}, most {max(found):.2f}" if found else "-")
        mark = "  (the rule)" if share == SHARE else ""
        lines.append(f"{share / 1e6:<18.0f} " + "  ".join(f"{cell:<22}" for cell in cells) + mark)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--share", type=int, nargs="*", default=SHARES, help="in millions")
    parser.add_argument("--short", action="store_true", help="three pairs of the first two cases")
    given = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ASLEEP.items()):  # read when torch is loaded
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.bench.threads", *sys.argv[1:]], {**os.environ, **ASLEEP}
        )
    torch.set_flush_denormal(True)
    cores, pairs = machine().cores, 3 if given.short else given.pairs
    if cores < 2:
        raise SystemExit("A machine with one core has nothing to choose.")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine().processor}, {cores} cores, {pairs} pairs")
    print(f"load before: {os.getloadavg()[0]:.1f} (no measurement above 0.5)\n")
    print(f"{'milliseconds a step':<50} {'M MACs':>8}  {'1':>8} {cores:>8}  ratio of pairs (quartiles)  rule  regret")
    rows = []
    for situation in SITUATIONS:
        with beside(situation != "alone"):
            for case in CASES[:2] if given.short else CASES:
                rows.append(timed(case, situation, cores, pairs))
                print(rows[-1], flush=True)
    print(f"\nRegret with other shares\n{with_other_shares(rows, [1e6 * share for share in given.share])}")


if __name__ == "__main__":
    main()
