"""Processes are who they say they are, and end with what they belong to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.processes.workers import (
    Worker,
    alive,
    end,
    ensure_supervisor,
    identity,
    read_identity,
    run_in_foreground,
    start_worker,
    stop_supervisor,
    supervisor,
)
from core.runs import Status
from core.workspace import Workspace

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


def recipe(mode: str = "finish", epochs: int = 3, milliseconds: int = 0) -> str:
    return f'name = "{mode}"\ndataset = "{mode}"\nimage_size = {epochs}\nseed = {milliseconds}\n'


def until(condition: Callable[[], object], limit: float = 20.0) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit, "waited too long"
        time.sleep(0.01)
    return time.monotonic() - begun


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace.open_or_create(tmp_path / "w")
    yield workspace
    stop_supervisor(workspace)


def test_an_identity_outlives_neither_its_process_nor_a_restart() -> None:
    mine = identity(os.getpid())
    assert mine is not None
    assert mine == identity(os.getpid())
    assert alive(mine)
    assert not alive(replace(mine, start=mine.start - 1)), "the same pid, used again"
    assert not alive(replace(mine, boot="another")), "the same pid and start after a restart"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    theirs = identity(child.pid)
    assert alive(theirs)
    child.kill()
    until(lambda: not alive(theirs))  # a zombie is dead, before anybody reaps it
    child.communicate()


def test_an_identity_is_read_back_or_none(tmp_path: Path) -> None:
    mine = identity(os.getpid())
    assert mine is not None
    path = tmp_path / "worker.json"
    assert read_identity(path) is None
    for text in ("", "[]", "{}", '{"pid": "x", "start": 1, "boot": ""}'):
        path.write_text(text)
        assert read_identity(path) is None
    path.write_text(mine.to_json())
    assert read_identity(path) == mine


def test_a_worker_is_nice_limited_in_its_own_session_and_logged(workspace: Workspace) -> None:
    worker = start_worker(workspace.logs, FAKE)
    until(worker.ready)
    assert psutil.Process(worker.who.pid).nice() >= 5
    assert os.getsid(worker.who.pid) == worker.who.pid
    assert alive(worker.who)
    if sys.platform == "linux":
        limits = Path(f"/proc/{worker.who.pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max data size"))
        assert 0 < int(line.split()[3]) < psutil.virtual_memory().total
        settings = Path(f"/proc/{worker.who.pid}/environ").read_bytes()
        assert b"OMP_WAIT_POLICY=PASSIVE" in settings
    worker.dismiss()
    assert worker.process.wait(10) == 0, "end of file ends a spare"


def test_a_spare_dies_with_whoever_kept_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from core.processes.workers import start_worker\n"
        "w = start_worker(Path(sys.argv[1]), tuple(sys.argv[2:])); print(w.who.pid, flush=True); time.sleep(60)"
    )
    keeper = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *FAKE], stdout=subprocess.PIPE, text=True)
    assert keeper.stdout is not None
    spare = identity(int(keeper.stdout.readline()))
    assert alive(spare)
    keeper.kill()
    keeper.communicate()
    until(lambda: not alive(spare))


def test_ending_takes_the_processes_a_worker_started_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('ready', p.pid, flush=True); time.sleep(60)"
    )
    worker: Worker = start_worker(tmp_path, (sys.executable, "-c", code))
    until(lambda: b"ready" in worker.log.read_bytes() and worker.log.read_bytes().endswith(b"\n"))
    grandchild = identity(int(worker.log.read_text().split()[1]))
    assert alive(grandchild)
    end(worker.who)
    assert worker.process.wait(10) == -signal.SIGTERM
    until(lambda: not alive(grandchild))
    worker.dismiss()
    end(worker.who)  # ending what has ended is no fault


def test_a_run_in_the_foreground_finishes_without_a_supervisor(workspace: Workspace) -> None:
    run = workspace.create_run(recipe(), "small")
    assert run_in_foreground(run, FAKE).wait(20) == 0
    assert run.state().status is Status.FINISHED
    assert alive(read_identity(run.foreground))
    assert "ready" in run.log_tail()
    assert sorted(p.name for p in run.folder.iterdir() if p.suffix == ".txt") == ["log.txt"]


@pytest.mark.thorough
def test_one_supervisor_however_often_it_is_asked_for(workspace: Workspace) -> None:
    assert supervisor(workspace) is None
    assert not stop_supervisor(workspace)
    code = (
        "import sys; from pathlib import Path; from core.processes.workers import ensure_supervisor\n"
        "from core.workspace import Workspace\n"
        "print(ensure_supervisor(Workspace(Path(sys.argv[1])), worker=tuple(sys.argv[2:])).pid)"
    )
    asks = [
        subprocess.Popen([sys.executable, "-c", code, str(workspace.path), *FAKE], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    pids = {int(ask.communicate()[0]) for ask in asks}
    assert len(pids) == 1
    who = ensure_supervisor(workspace, worker=FAKE)
    assert {who.pid} == pids
    time.sleep(0.3)  # for a second one, were there one, to show itself
    named = [p for p in psutil.process_iter() if _argument(p, str(workspace.path))]
    assert [p.pid for p in named] == [who.pid]
    assert stop_supervisor(workspace)
    assert not alive(who)
    assert supervisor(workspace) is None


def test_a_supervisor_ends_with_its_workspace(workspace: Workspace) -> None:
    who = ensure_supervisor(workspace, worker=FAKE)
    workspace.path.rename(workspace.path.with_name("moved"))
    until(lambda: not alive(who))


def test_a_supervisor_that_cannot_start_is_told_with_its_log(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.processes.workers.START_LIMIT", 1.0)
    with pytest.raises(RuntimeError, match="it broke"):
        ensure_supervisor(workspace, command=(sys.executable, "-c", "raise SystemExit('it broke')"))


def _argument(process: psutil.Process, argument: str) -> bool:
    try:
        return argument in process.cmdline()
    except psutil.Error:
        return False
