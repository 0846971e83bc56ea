"""Whose work keeps the machine busy: that of other programs is told apart from ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from core.hardware.load import Sample, others, sample

SPIN = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


def test_what_others_did_is_what_is_left() -> None:
    cores = psutil.cpu_count() or 1
    before = Sample(10.0, 100.0, {1: 5.0, 2: 7.0})
    now = Sample(20.0, 100.0 + 8.0 * cores, {1: 5.0 + 2.0 * cores, 3: 1.0 * cores})
    assert others(before, now) == pytest.approx(0.5), "8 of 10 seconds were busy, 3 of them ours"
    assert others(before, Sample(10.5, 101.0, {})) is None, "too short a while"
    assert others(before, Sample(20.0, 100.0, {1: 9.0})) == 0.0
    assert others(before, Sample(20.0, 100.0 + 99.0 * cores, {})) == 1.0


def test_a_child_of_ours_is_ours() -> None:
    """A process that spins is found with its processor time among those of its parent."""
    child = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        time.sleep(0.3)
        first = sample([os.getpid()])
        time.sleep(1.2)
        second = sample([os.getpid()])
    finally:
        child.kill()
        child.wait()
    assert {os.getpid(), child.pid} <= set(second.own)
    assert second.own[child.pid] > first.own[child.pid]
    assert second.busy > first.busy
    alone = sample([child.pid])
    assert alone.own == {}, "one that has ended is no longer there"
