"""The supervisor goes on, whatever lies in the workspace, whoever dies, and wherever the clock is."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import UserError
from core.events import Progress, RunFinished, RunInterrupted, RunStalled, RunStarted
from core.files import Failpoint, breaking
from core.jobs import Job
from core.processes import dashboard as dashboard_process
from core.processes.identity import Identity, alive, described, holder, identity, read_identity
from core.processes.run_monitor import DISK_FULL_EXIT, RunMonitor, Timeouts
from core.processes.supervisor import Supervisor
from core.processes.workers import end, ensure_supervisor, lock_of, stop_supervisor, supervisor
from core.runs import Run, Status
from core.workspace import KEEP_TRASH, Workspace
from tests.core.processes.test_supervisor import QUICK, keeper, over, pids, turn_until, until, workspace
from tests.core.processes.test_workers import FAKE, recipe

__all__ = ["keeper", "workspace"]
YEAR = 365 * 86400.0
STRANGE = (b"-rf", b"\xff\xfe", "ümläut 图".encode(), b"a\nb", b".hidden", b"0" * 200)
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who holds a lock")


@contextmanager
def keeping(place: Workspace, command: tuple[str, ...] = FAKE, timeouts: Timeouts = QUICK) -> Iterator[Supervisor]:
    """A supervisor inside the test; what it started has ended afterwards."""
    found = Supervisor(place, command, timeouts)
    try:
        yield found
    finally:
        dispatcher = found.dispatcher
        seated = [
            w for w in (dispatcher._idle, dispatcher._running.worker if dispatcher._running else None) if w is not None
        ]
        found.close()
        for worker in {worker.who.pid: worker for worker in (*found.children, *seated)}.values():
            end(worker.who, kill=True)
            worker.dismiss()
            worker.process.wait()


def spoil(folder: Path) -> None:
    """A dangling link, a link to itself, a file where a folder should be, and strange names."""
    run_like = "00000000000{}-00000{}"
    (folder / run_like.format("01", 1)).symlink_to("/nowhere/at/all")
    (folder / run_like.format("02", 2)).symlink_to(folder / run_like.format("02", 2))
    (folder / run_like.format("03", 3)).write_bytes(b"a file")
    (folder / run_like.format("04", 4)).mkdir()
    (folder / run_like.format("05", 5)).symlink_to(folder / run_like.format("04", 4))
    (folder / ".new-dangling").symlink_to("/nowhere/at/all")
    for name in STRANGE:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"")


def age(folder: Path) -> None:
    for name in os.listdir(os.fsencode(folder)):
        os.utime(os.path.join(os.fsencode(folder), name), (1e9, 1e9), follow_symlinks=False)


def test_what_does_not_belong_into_a_folder_ends_nobody(workspace: Workspace, keeper: Supervisor) -> None:
    names = ("runs", "jobs", "datasets", "cache", "queue", "trash", "logs")
    for name in names:
        spoil(workspace.path / name)
    run = workspace.submit(recipe())
    job = workspace.create_job("echo", {"n": 1})
    turn_until(keeper, lambda: over(run)() and job.done())
    assert run.state().status is Status.FINISHED
    assert next(row.id for row in workspace.runs()) == run.id
    for unknown in ("0000000000001-000001", "0000000000005-000005"):
        with pytest.raises(UserError, match="this workspace"):
            workspace.run(unknown)
    for name in names:
        age(workspace.path / name)
    keeper._tidy()
    assert os.listdir(workspace.path / "trash") == []
    assert not (workspace.path / "runs" / ".new-dangling").is_symlink()
    assert workspace.run(run.id).state().status is Status.FINISHED


@pytest.mark.parametrize("name", ["jobs", "datasets", "cache", "trash"])
@pytest.mark.parametrize("how", ["dangling", "file"])
def test_a_folder_that_is_none_keeps_no_run_from_its_turn(tmp_path: Path, name: str, how: str) -> None:
    place = Workspace.open_or_create(tmp_path / "w").path / name
    place.rmdir()
    place.symlink_to("/nowhere") if how == "dangling" else place.write_bytes(b"")
    with pytest.raises(UserError) as told:
        Workspace.open_or_create(tmp_path / "w")
    assert told.value.code == "workspace_damaged"
    assert str(place) in told.value.given
    assert ("/nowhere" in told.value.fix) == (how == "dangling")
    served = Workspace.open_to_serve(tmp_path / "w")
    with keeping(served) as keeper:
        run = served.submit(recipe(epochs=1))
        turn_until(keeper, lambda: over(run)() and not keeper.monitors)
    assert run.state().status is Status.FINISHED


def test_a_run_or_job_whose_folder_is_broken_strands_no_later_one(workspace: Workspace, keeper: Supervisor) -> None:
    broken, fine = workspace.submit(recipe()), workspace.submit(recipe())
    broken.events.unlink()
    broken.events.mkdir()
    job, other = workspace.create_job("echo", {}), workspace.create_job("echo", {"n": 2})
    (job.folder / "request.json").write_bytes(b"{")
    turn_until(keeper, lambda: over(fine)() and other.done() and job.done())
    assert fine.state().status is Status.FINISHED
    with pytest.raises(UserError, match="readable request"):
        job.result()


def test_the_trash_is_emptied_again_and_again_but_by_no_clock_set_ahead(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keeping(workspace, timeouts=replace(QUICK, tidy=0.05)) as keeper:
        keeper.turn()
        old, young = workspace.create_run(recipe()), workspace.create_run(recipe())
        for run in (old, young):
            workspace.delete(run.id)
        long_ago = time.time() - KEEP_TRASH - 60
        os.utime(workspace.path / "trash" / old.id, (long_ago, long_ago))
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + YEAR)
        turn_until(keeper, lambda: os.listdir(workspace.path / "trash") == [young.id])
        for _ in range(10):
            time.sleep(0.02)
            keeper.turn()
    assert os.listdir(workspace.path / "trash") == [young.id]


# deaths


def lived(run: Run, lives: int) -> bool:
    """Whether that many processes have begun a deaf run and come as far as it ever comes."""
    told = [e for e in run.read()[0] if isinstance(e, Progress)]
    return len(pids(run)) == lives and len(told) == lives + 1  # the first life leaves a checkpoint


@pytest.mark.thorough
def test_dying_with_the_supervisor_is_no_strike_however_often(workspace: Workspace) -> None:
    run = workspace.submit(recipe("deaf"))
    for life in range(1, 7):
        with keeping(workspace) as keeper:  # ends with its worker, and nobody watches
            turn_until(keeper, lambda life=life: lived(run, life))  # type: ignore[misc]
    with keeping(workspace) as keeper:
        turn_until(keeper, lambda: lived(run, 7))
        workspace.cancel(run.id)
        turn_until(keeper, lambda: over(run)() and not keeper.monitors)
    told = [event for event in run.read()[0] if isinstance(event, RunInterrupted)]
    assert len(told) == 6
    assert not any(event.strike for event in told)


def test_a_restart_of_the_machine_is_no_strike(workspace: Workspace, keeper: Supervisor) -> None:
    """The pid lives, and started at the same moment, but before the restart: another process."""
    run = workspace.create_run(recipe())
    mine = identity(os.getpid())
    assert mine is not None
    run.emit(RunStarted(os.getpid(), {}))
    run.worker.write_text(replace(mine, boot="before the restart").to_json())
    turn_until(keeper, over(run))
    turn_until(keeper, lambda: run.state().status is Status.FINISHED)
    (told,) = [event for event in run.read()[0] if isinstance(event, RunInterrupted)]
    assert not told.strike
    assert "machine restarted" in told.cause


@pytest.mark.thorough
def test_a_worker_asked_to_end_is_taken_up_again_without_a_strike(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.submit(recipe("deaf"))
    for life in range(1, 6):
        turn_until(keeper, lambda life=life: lived(run, life))  # type: ignore[misc]
        os.kill(pids(run)[-1], signal.SIGTERM)
    turn_until(keeper, lambda: len(pids(run)) == 6)
    assert run.state().strikes == 0


def test_a_checkpoint_is_progress(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.create_run(recipe())
    mine = identity(os.getpid())
    monitor = RunMonitor(run, mine, Timeouts())
    run.emit(RunStarted(1, {}))
    monitor.check()
    assert monitor.own_fault()
    (run.checkpoints / "epoch-00001.json").write_bytes(b"")
    assert not monitor.own_fault()


def test_a_worker_that_died_of_a_full_disk_pauses_the_run(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.submit(recipe("full"))
    turn_until(keeper, lambda: run.state().status is Status.PAUSED)
    assert "the disk is full" in run.state().cause
    assert "are free now" in run.state().cause
    assert len(pids(run)) == 1
    assert DISK_FULL_EXIT == errno.ENOSPC


# the supervisor itself


def test_a_spare_that_hangs_at_its_start_is_ended_and_told(workspace: Workspace) -> None:
    run = workspace.submit(recipe())
    with keeping(workspace, (*FAKE, "mute"), replace(QUICK, hang=0.3)) as keeper:
        turn_until(keeper, over(run))
    assert run.state().status is Status.FAILED
    assert (run.state().error or {})["code"] == "worker_failed"


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["enospc", "eio"])
def test_a_few_faults_of_the_supervisors_disk_strand_nothing(tmp_path: Path, kind: str) -> None:
    operations = faults(tmp_path, kind, step=31)
    assert operations > 15


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["enospc", "eio", "erofs"])
def test_every_fault_of_the_supervisors_disk_strands_nothing(tmp_path: Path, kind: str) -> None:
    begun = time.monotonic()
    operations = faults(tmp_path, kind, step=1)
    print(f"{kind}: {operations} of {operations} operations of the supervisor ({time.monotonic() - begun:.0f} s)")


def faults(folder: Path, kind: str, step: int) -> int:
    """Breaks every `step`-th operation of a supervisor with two runs, one of which dies once, and two jobs."""
    for at in range(1, 200, step):
        place = Workspace.open_or_create(folder / str(at))
        runs = [place.submit(recipe("once")), place.submit(recipe(epochs=1))]
        jobs = [place.create_job("echo", {"n": n}) for n in range(2)]
        with keeping(place, timeouts=replace(QUICK, retry=0.1)) as keeper, breaking(Failpoint(kind, at)) as fault:
            keeper.me = identity(os.getpid())
            turn_until(keeper, lambda r=runs, j=jobs, k=keeper: settled(r, j, k))  # type: ignore[misc]
        assert [run.state().status for run in runs] == [Status.FINISHED] * 2, at
        assert [len(pids(run)) for run in runs] == [2, 1], "each life was told once"
        assert {refusal(job) for job in jobs} <= {"", "disk_full", "disk_fault", "disk_read_only"}
        assert read_identity(place.path / "supervisor.json") == keeper.me
        assert place.queued() == []
        if not fault.fired:
            return at - 1
    pytest.fail("never passed")


def settled(runs: list[Run], jobs: list[Job], keeper: Supervisor) -> bool:
    done = all(over(run)() and run.result.exists() for run in runs) and all(job.done() for job in jobs)
    return done and not keeper.monitors and not keeper.workspace.queued()


def refusal(job: Job) -> str:
    """The code of the error a job ended with; empty where it was answered."""
    try:
        job.result()
    except UserError as error:
        return error.code
    return ""


@pytest.mark.parametrize("damage", [b"", b"{", b"[1e999]", b'{"pid": 1e400, "start": 0, "boot": ""}', None])
def test_a_damaged_note_beside_a_living_supervisor_is_written_again(workspace: Workspace, damage: bytes | None) -> None:
    who = ensure_supervisor(workspace, worker=FAKE)
    note = workspace.path / "supervisor.json"
    until(note.exists)  # its lock names it before its note does
    note.unlink() if damage is None else note.write_bytes(damage)
    assert ensure_supervisor(workspace, worker=FAKE) == who
    until(lambda: read_identity(note) == who)
    note.unlink()
    assert stop_supervisor(workspace)
    assert not alive(who)


@linux
def test_a_supervisor_that_hangs_without_a_note_is_found_by_its_lock(workspace: Workspace) -> None:
    who = ensure_supervisor(workspace, worker=FAKE)
    os.kill(who.pid, signal.SIGSTOP)
    (workspace.path / "supervisor.json").write_bytes(b"damaged")
    assert supervisor(workspace) == who
    os.kill(who.pid, signal.SIGKILL)
    until(lambda: not alive(who))
    assert supervisor(workspace) is None


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Another program that holds the lock on `path`; its pid."""
    code = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    command = (sys.executable, "-c", code, str(path))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid


@linux
def test_a_lock_in_other_hands_is_told_with_its_process(workspace: Workspace) -> None:
    with held(lock_of(workspace)) as pid:
        assert holder(lock_of(workspace)) == pid
        with pytest.raises(UserError) as told:
            ensure_supervisor(workspace, worker=FAKE)
        assert told.value.code == "workspace_locked"
        assert f"process {pid} (" in told.value.allowed
        assert f"kill {pid}" in told.value.fix
        assert not stop_supervisor(workspace)
    assert holder(lock_of(workspace)) is None
    assert alive(ensure_supervisor(workspace, worker=FAKE))


@linux
def test_a_dashboard_lock_in_other_hands_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_process, "LOCK_LIMIT", 0.1)
    with held(workspace.path / "dashboard.lock") as pid, pytest.raises(UserError, match=f"process {pid}"):
        dashboard_process.ensure_dashboard(workspace)


def test_a_process_is_described_as_a_person_finds_it() -> None:
    assert described(None) == "another process"
    assert described(os.getpid()).startswith(f"process {os.getpid()} (")


def test_an_identity_that_cannot_be_is_none(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    for pid in (0, -1, 2**40, 10**400):
        path.write_text(f'{{"pid": {pid}, "start": 1, "boot": "b"}}')
        assert read_identity(path) is None
    path.write_text('{"pid": 1, "start": NaN, "boot": "b"}')
    assert not alive(read_identity(path))
    path.write_text("[" * 100_000)
    assert read_identity(path) is None


def test_a_stale_note_of_a_foreground_run_does_not_keep_it(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.create_run(recipe())
    run.foreground.write_text(Identity(os.getpid(), 1.0, "another boot").to_json())
    run.worker.write_text(Identity(os.getpid(), 1.0, "another boot").to_json())
    run.emit(RunStarted(1, {}))
    turn_until(keeper, over(run))
    assert run.state().status is Status.INTERRUPTED
    workspace.resume(run.id)
    turn_until(keeper, lambda: run.state().status is Status.FINISHED)


# the clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock by so many seconds; the steady one goes on."""
    real = time.time
    moved = [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + moved[0])
    monkeypatch.setattr(time, "time_ns", lambda: int((real() + moved[0]) * 1e9))
    return lambda seconds: moved.__setitem__(0, seconds)


def test_a_clock_a_year_ahead_stalls_nothing(
    workspace: Workspace, keeper: Supervisor, clock: Callable[[float], None]
) -> None:
    keeper.timeouts = replace(QUICK, stall=60.0, orphan=60.0)
    run, stray = workspace.submit(recipe("deaf")), workspace.create_run(recipe())
    turn_until(keeper, lambda: len(run.state().curves.get(0, ())) == 2)
    monitor = RunMonitor(run, read_identity(run.worker), Timeouts())
    clock(YEAR)
    for _ in range(3):
        monitor.check()
        keeper.adopt()
    assert not any(isinstance(event, RunStalled) for event in run.read()[0])
    assert not stray.state().status.is_over


def test_after_the_clock_went_back_lists_are_in_order_and_no_duration_is_told(
    workspace: Workspace, clock: Callable[[float], None]
) -> None:
    clock(YEAR)
    first, early = workspace.submit(recipe()), workspace.create_job("echo", {})
    first.emit(RunStarted(1, {}))
    clock(0.0)
    second, late = workspace.submit(recipe()), workspace.create_job("echo", {})
    assert workspace.run_ids() == workspace.queued() == [first.id, second.id]
    assert workspace.job_ids() == [early.id, late.id]
    first.emit(RunFinished())
    summary = first.summary()
    assert summary.finished is not None
    assert summary.finished < (summary.started or 0.0), "as the clock said"
    assert summary.lasted is None
    second.emit(RunStarted(1, {}), RunFinished())
    assert second.summary().lasted == 0.0
