"""Who measures is alone: between processes, within limits, and whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.hardware.alone import Turns, runtime_folder

WORKER = """
import sys, time
from pathlib import Path
from core.hardware.alone import Turns
turns, log = Turns(Path(sys.argv[1])), open(sys.argv[2], "a", buffering=1)
with turns.at_work():
    while True:
        began = time.monotonic()
        time.sleep(float(sys.argv[3]))  # a batch
        log.write(f"{began} {time.monotonic()}\\n")
        turns.give_way()
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes that work in batches of 20 ms."""
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    both = [subprocess.Popen([*command, str(tmp_path / f"log{n}"), "0.02"]) for n in range(2)]
    until = time.monotonic() + 30
    while not all((tmp_path / f"log{n}").exists() and batches(tmp_path / f"log{n}") for n in range(2)):
        assert time.monotonic() < until
        time.sleep(0.02)
    yield both
    for process in both:
        process.kill()
        process.wait()


def batches(log: Path) -> list[tuple[float, float]]:
    lines = log.read_text().splitlines(keepends=True)
    return [(float(begun), float(ended)) for begun, ended in (line.split() for line in lines if line.endswith("\n"))]


@pytest.mark.usefixtures("workers")
def test_no_batch_overlaps_a_measurement_and_work_goes_on_afterwards(tmp_path: Path) -> None:
    turns, spans = Turns(tmp_path), []
    for _ in range(5):
        asked = time.monotonic()
        with turns.alone() as alone:
            assert alone
            assert time.monotonic() - asked < 5, "two that share the lock in turn do not keep it for ever"
            began = time.monotonic()
            time.sleep(0.1)
            spans.append((began, time.monotonic()))
        time.sleep(0.1)
    for number in range(2):
        done = batches(tmp_path / f"log{number}")
        for begun, ended in spans:
            assert not [one for one in done if one[0] < ended - 0.001 and one[1] > begun + 0.001]
        assert done[-1][1] > spans[-1][1], "it works again"


def test_who_cannot_be_alone_says_so(workers: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    os.kill(workers[0].pid, signal.SIGSTOP)
    with Turns(tmp_path, patience=0.2).alone() as alone:
        assert not alone
    workers[0].kill()  # the kernel releases what it held
    with Turns(tmp_path, patience=10).alone() as alone:
        assert alone


def test_one_measures_at_a_time_and_a_dead_one_keeps_nobody(tmp_path: Path) -> None:
    code = "import sys, time\nfrom pathlib import Path\nfrom core.hardware.alone import Turns\n"
    code += "with Turns(Path(sys.argv[1])).alone():\n    print('alone', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"alone\n"
        with pytest.raises(InterruptedError), Turns(tmp_path).alone(refuse):
            pass
        with pytest.raises(InterruptedError), Turns(tmp_path).at_work(refuse):
            pass
        other.kill()
    with Turns(tmp_path).alone() as alone:
        assert alone


def refuse() -> None:
    """A person asks to stop while one waits."""
    raise InterruptedError


def test_a_worker_measures_alone_and_works_again(tmp_path: Path) -> None:
    mine, other = Turns(tmp_path), Turns(tmp_path, patience=0.1)
    with mine.at_work():
        with mine.alone() as alone:
            assert alone
            mine.give_way()  # whoever measures calls it too, between two files
            with pytest.raises(InterruptedError), other.at_work(refuse):
                pass
        with other.alone() as alone:
            assert not alone, "it is at work again"
    with other.alone() as alone:
        assert alone


def test_the_folder_is_this_persons_or_another_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    assert runtime_folder(tmp_path / "cache") == tmp_path / "condenser"
    (tmp_path / "condenser").chmod(0o777)
    assert runtime_folder(tmp_path / "cache") == tmp_path / "cache", "others may write there"
    (tmp_path / "condenser").rmdir()
    (tmp_path / "condenser").symlink_to(tmp_path)
    assert runtime_folder(tmp_path / "cache") == tmp_path / "cache", "a link could lead anywhere"
