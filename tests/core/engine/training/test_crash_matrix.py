"""Training ends neither by a signal nor never, whatever the width, the image and the processor's instruction set.

oneDNN has other kernels for every instruction set, with faults of their own; ONEDNN_MAX_CPU_ISA takes a processor back
to an older one, so that one machine tries them all. Each combination trains in a child process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import pytest
import torch
from torch import nn

from core.engine.training.memory_layout import NAMES, arrange, choose_layout
from tests.core.engine.training.training_matrix import Case, chains, methods_of

ROOT = Path(__file__).parents[4]
INSTRUCTIONS = ("AVX2", "AVX512_CORE", "AVX512_CORE_BF16", "DEFAULT")
CUT = (8, 10, 14, 16, 24)  # widths that a half leaves at 4, 5, 7, 8 and 12


def trained(instructions: str, threads: int, cases: list[Case]) -> None:
    """Fails with the combination at which the child died or did not come back."""
    words = [f"{side}:{width}:{name}" for side, width, name in cases]
    command = [sys.executable, "-m", "tests.core.engine.training.training_matrix", str(threads), *words]
    environment = {
        **os.environ,
        "ONEDNN_MAX_CPU_ISA": instructions,
        "MALLOC_PERTURB_": "165",
        "GOMP_SPINCOUNT": "20000",
    }
    child = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    last = (child.stdout.splitlines() or ["before the first"])[-1]
    ended = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit code {child.returncode}"
    assert child.returncode == 0, f"{instructions}: {last}: {ended}\n{child.stderr[-3000:]}"
    assert last == "finished"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("instructions", "threads", "side", "widths"),
    [("AVX2", 1, 28, (8, 10)), pytest.param("AVX512_CORE", 2, 64, (8,), marks=pytest.mark.slow)],
)
def test_narrow_networks_train_to_the_end(instructions: str, threads: int, side: int, widths: tuple[int, ...]) -> None:
    """What died within a second in channels last: 8 and 10 channels, cut to 4 and 5, on each instruction set."""
    trained(instructions, threads, [(side, width, name) for width in widths for name in ("fastest", "qat")])


SIDES, WIDTHS = (28, 64, 96), (4, 5, *CUT)
CELLS = [(instructions, threads) for instructions in INSTRUCTIONS for threads in (1, 2)]


def cases_of(cell: int) -> list[Case]:
    """What is trained with one instruction set on one number of threads: every chain, side and width, but of their 252
    combinations 14. Over all cells every pair of two of these five is trained: 112 trainings of 2,016."""
    turn = cell // 2 + 2 * (cell % 2)
    return [
        (side, width, name)
        for row, side in enumerate(SIDES)
        for place, width in enumerate(WIDTHS)
        if (row + place + turn) % 3 == 0
        for number, name in enumerate(chains())
        if (place + number + cell) % 6 == 0
    ]


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cell", range(len(CELLS)), ids=[f"{name}-{threads}" for name, threads in CELLS])
def test_every_preset_and_stage_trains_to_the_end(cell: int) -> None:
    instructions, threads = CELLS[cell]
    trained(instructions, threads, cases_of(cell))


@pytest.mark.parametrize("name", chains())
def test_every_chain_of_the_campaign_is_one_that_can_be_built(name: str) -> None:
    steps = chains()[name]
    assert len(list(methods_of(steps, 8))) == len(steps)


def test_the_cells_of_the_campaign_cover_every_pair() -> None:
    every = (INSTRUCTIONS, (1, 2), SIDES, WIDTHS, tuple(chains()))
    trained = {(*CELLS[cell], *case) for cell in range(len(CELLS)) for case in cases_of(cell)}
    for one, other in combinations(range(5), 2):
        assert {(found[one], found[other]) for found in trained} == set(product(every[one], every[other])), (one, other)


def test_narrow_convolutions_are_contiguous_and_wide_ones_last() -> None:
    cpu = torch.device("cpu")
    for width, layout in ((4, "contiguous"), (12, "contiguous"), (15, "contiguous"), (16, "channels last")):
        net = nn.Sequential(nn.Conv2d(3, width, 3), nn.Conv2d(width, 32, 1, stride=2), nn.Conv2d(32, width, 1))
        assert NAMES[choose_layout(net, cpu)] == layout, width
        assert NAMES[choose_layout(net, torch.device("cuda"))] == "channels last"
    assert choose_layout(nn.Conv2d(3, 32, 1, stride=2), cpu) is torch.contiguous_format, "an image's too, where 1 × 1"
    assert choose_layout(nn.Conv2d(32, 32, 3, groups=32), cpu) is torch.channels_last
    assert choose_layout(nn.Conv2d(32, 32, 3, groups=4), cpu) is torch.contiguous_format


def test_a_network_arranged_back_is_contiguous_to_its_last_stride() -> None:
    """The strides of a 1 × 1 weight alone make a convolution answer in channels last."""
    net, image = nn.Conv2d(32, 32, 1), torch.zeros(2, 32, 8, 8)
    weight = net.weight
    assert arrange(net, torch.channels_last)(image).stride() == (2048, 1, 256, 32)
    assert arrange(net, torch.contiguous_format)(image).is_contiguous()
    assert net.weight is weight
    assert weight.stride() == (32, 1, 1, 1)
