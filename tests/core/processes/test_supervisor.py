"""The queue moves, no death is missed, nothing recorded is lost, and a run has one process at most."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import JsonValue

from core.errors import UserError
from core.events import Progress, RunCancelled, RunInterrupted, RunResumed, RunStalled, RunStarted
from core.processes import dashboard as dashboard_process
from core.processes.ask import ask
from core.processes.run_monitor import Timeouts, cause_of_death, last_lines
from core.processes.slots import set_slots
from core.processes.supervisor import Supervisor
from core.processes.workers import (
    Identity,
    Worker,
    alive,
    end,
    ensure_supervisor,
    identity,
    read_identity,
    run_in_foreground,
    stop_supervisor,
    supervisor,
)
from core.questions.request import Request
from core.runs import Run, Status
from core.workspace import Workspace
from tests.core.processes.test_workers import FAKE, recipe

FAKE_DASHBOARD = (sys.executable, str(Path(__file__).with_name("fake_dashboard.py")))
QUICK = Timeouts(
    cancel=0.3, terminate=0.2, linger=0.3, stall=0.4, scan=0.1, relist=0.1, orphan=0.5, idle=0.3, spare=0.1
)


@dataclass(frozen=True)
class Echo(Request[dict[str, JsonValue]]):
    """A question that only the fake worker answers."""

    kind: ClassVar[str] = "echo"

    n: int | str


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace.open_or_create(tmp_path / "w")
    yield workspace
    stop_supervisor(workspace)
    for run_id in workspace.run_ids():
        who = read_identity(workspace.run(run_id).worker)
        if who is not None:
            end(who, kill=True)


@pytest.fixture
def keeper(workspace: Workspace) -> Iterator[Supervisor]:
    """A supervisor inside the test: it moves when the test calls `turn`."""
    keeper = Supervisor(workspace, FAKE, QUICK)
    yield keeper
    let_go(keeper)


def let_go(keeper: Supervisor) -> None:
    """Ends a supervisor inside a test, and every worker it has."""
    for monitor in keeper.monitors.values():
        if monitor.who is not None:
            end(monitor.who, kill=True)
    keeper.close()
    for worker in keeper.children:
        end(worker.who, kill=True)
        worker.dismiss()
        worker.process.wait()


def turn_until(keeper: Supervisor, condition: Callable[[], object], limit: float = 20.0) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit, "waited too long"
        keeper.turn()
        time.sleep(0.01)
    return time.monotonic() - begun


def until(condition: Callable[[], object], limit: float = 20.0) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit, "waited too long"
        time.sleep(0.01)
    return time.monotonic() - begun


def warm(keeper: Supervisor) -> None:
    turn_until(keeper, lambda: keeper.spare is not None and keeper.spare.ready())


def kinds(run: Run) -> list[str]:
    return [type(event).__name__ for event in run.read()[0]]


def over(run: Run) -> Callable[[], bool]:
    return lambda: run.state().status.is_over


def pids(run: Run) -> list[int]:
    path = run.folder / "pids"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


# the queue


@pytest.mark.thorough
def test_runs_are_done_in_order_each_in_its_own_process(workspace: Workspace, keeper: Supervisor) -> None:
    set_slots(workspace, 1)
    runs = [workspace.submit(recipe()) for _ in range(3)]
    turn_until(keeper, lambda: all(over(run)() for run in runs) and not keeper.monitors)
    assert [run.state().status for run in runs] == [Status.FINISHED] * 3
    assert len({pid for run in runs for pid in pids(run)}) == 3
    started = [run.state().started or 0.0 for run in runs]
    finished = [run.state().finished or 0.0 for run in runs]
    assert started[1] >= finished[0]
    assert started[2] >= finished[1]
    assert workspace.queued() == []
    assert runs[0].result.exists()


TAKES = '[[steps]]\nstage = "transfer"\nmethod = "linear_probe"\n'


def taking(cores: int, milliseconds: int = 20) -> str:
    """A recipe of three epochs that takes so many cores."""
    return f'{recipe("finish", 3, milliseconds)}backbone = "resnet8"\nthreads = {cores}\n{TAKES}'


@pytest.mark.thorough
def test_as_many_runs_at_once_as_the_cores_allow_in_the_order_of_the_queue(
    workspace: Workspace, keeper: Supervisor
) -> None:
    """Of four cores: two runs of one, then one that takes three has to wait, and none behind it overtakes it."""
    set_slots(workspace, 4)
    cores = [1, 1, 3, 1, 9, 1]
    runs = [workspace.submit(taking(each, 20 if number else 1200)) for number, each in enumerate(cores)]
    seen: list[set[int]] = []

    def finished() -> bool:
        working = {number for number, run in enumerate(runs) if run.id in keeper.monitors}
        seen.append(working)
        return all(over(run)() for run in runs) and not keeper.monitors

    turn_until(keeper, finished)
    assert all(sum(cores[each] for each in working) <= 4 or len(working) == 1 for working in seen)
    assert {0, 1} in seen, "two at once"
    assert {4} in seen, "who takes more than there are works alone"
    begun = [run.state().started or 0.0 for run in runs]
    assert begun == sorted(begun), "nobody overtakes"


@pytest.mark.thorough
def test_a_run_that_was_adopted_keeps_its_cores(workspace: Workspace, keeper: Supervisor) -> None:
    set_slots(workspace, 2)
    first = workspace.submit(taking(2, 300))
    turn_until(keeper, lambda: first.id in keeper.monitors)
    keeper.close()
    other = Supervisor(workspace, FAKE, QUICK)
    second = workspace.submit(taking(1))
    turn_until(other, lambda: over(second)() and not other.monitors)
    assert (second.state().started or 0.0) >= (first.state().finished or 0.0)
    other.close()
    for worker in other.children:
        worker.dismiss()
        worker.process.wait()


@pytest.mark.thorough
def test_every_cuda_run_gets_a_gpu_of_its_own(
    workspace: Workspace, keeper: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("core.processes.slots", "core.processes.local"):
        monkeypatch.setattr(f"{module}.gpus", lambda: 2)
    set_slots(workspace, 8)
    given: dict[str, int | None] = {}
    give = Worker.give_run

    def note(self: Worker, run: Run, before: Callable[[], object], gpu: int | None = None) -> None:
        given[run.id] = gpu
        give(self, run, before, gpu)

    monkeypatch.setattr(Worker, "give_run", note)
    names = ("cuda", "auto", "cuda", "cpu")
    texts = [taking(1, 1200).replace("threads", f'device = "{name}"\nthreads') for name in names]
    runs = [workspace.submit(text) for text in texts]
    most = 0

    def finished() -> bool:
        nonlocal most
        most = max(most, sum(run.id in keeper.monitors for run in runs[:3]))
        return all(over(run)() for run in runs) and not keeper.monitors

    turn_until(keeper, finished)
    assert [given[run.id] for run in runs[:2]] == [0, 1]
    assert given[runs[2].id] in (0, 1)
    assert given[runs[3].id] is None
    assert most == 2


@pytest.mark.thorough
def test_a_persons_run_goes_before_the_trials_that_wait(workspace: Workspace) -> None:
    def asked(*tags: str) -> str:
        return workspace.submit(recipe(), tags=tags).id

    mine, trial, other = asked(), asked("search 0a1b2c"), asked("search 3d4e5f")
    late = asked("mine")
    again = asked("search 0a1b2c")
    assert workspace.queued() == [mine, late, trial, other, again]
    workspace.reorder(again, 0)
    last = asked()
    assert workspace.queued() == [again, mine, late, last, trial, other], "who was moved by hand stays there"
    ranks = [rank for rank, _ in workspace._queue()]
    assert ranks == sorted(set(ranks))
    many = [asked() for _ in range(100)]
    assert workspace.queued() == [again, mine, late, last, *many, trial, other]


def test_a_run_starts_within_a_second_once_the_spare_is_warm(workspace: Workspace) -> None:
    ensure_supervisor(workspace, worker=FAKE)
    until(lambda: any(b"ready" in log.read_bytes() for log in workspace.logs.iterdir()))
    submitted = time.time()
    run = workspace.submit(recipe())
    until(lambda: run.state().started is not None)
    assert (run.state().started or 0.0) - submitted < 1.0
    until(over(run))


@pytest.mark.thorough
def test_no_spare_is_loaded_on_cores_that_a_run_takes_until_something_waits(
    workspace: Workspace, keeper: Supervisor
) -> None:
    """Its imports take seconds of a core, which would be the run's."""
    set_slots(workspace, 2)
    run = workspace.submit(taking(2, 1000))
    turn_until(keeper, lambda: run.state().last_progress is not None)
    for _ in range(20):
        keeper.turn()
    assert keeper.spare is None
    asked = workspace.create_job("echo", {})
    turn_until(keeper, asked.done)
    assert not run.state().status.is_over
    turn_until(keeper, lambda: over(run)() and not keeper.monitors)
    warm(keeper)


def test_a_spare_is_loaded_beside_a_run_that_leaves_a_core_and_for_the_next_in_the_queue(
    workspace: Workspace, keeper: Supervisor
) -> None:
    set_slots(workspace, 2)
    run = workspace.submit(taking(1, 1000))
    turn_until(keeper, lambda: run.state().last_progress is not None)
    warm(keeper)
    second, third = workspace.submit(taking(1, 1000)), workspace.submit(taking(1))
    turn_until(keeper, lambda: second.id in keeper.monitors)
    warm(keeper)
    assert third.id not in keeper.monitors
    assert not run.state().status.is_over


def test_a_waiting_run_that_was_cancelled_paused_or_deleted_is_passed_over(
    workspace: Workspace, keeper: Supervisor
) -> None:
    cancelled, paused, deleted, last = (workspace.submit(recipe()) for _ in range(4))
    cancelled.cancel()
    paused.pause()
    deleted.folder.rename(workspace.path / "trash" / deleted.id)
    turn_until(keeper, over(last))
    assert cancelled.state().status is Status.CANCELLED
    assert paused.state().status is Status.PAUSED
    assert pids(cancelled) == pids(paused) == []
    workspace.resume(paused.id)
    turn_until(keeper, over(paused))
    assert paused.state().status is Status.FINISHED


@pytest.mark.thorough
def test_a_pause_ends_the_process_and_a_resume_goes_on_from_the_checkpoint(
    workspace: Workspace, keeper: Supervisor
) -> None:
    run = workspace.submit(recipe(epochs=30, milliseconds=30))
    turn_until(keeper, lambda: run.state().last_progress is not None)
    run.pause()
    turn_until(keeper, lambda: run.state().status is Status.PAUSED and not keeper.monitors)
    until(lambda: not alive(read_identity(run.worker)))
    workspace.resume(run.id)
    turn_until(keeper, over(run))
    assert [p.epoch for p in run.state().curves[0]] == list(range(30))
    assert len(pids(run)) == 2
    assert len([e for e in run.read()[0] if isinstance(e, Progress)]) == 30, "nothing was done twice"


# deaths


def test_a_killed_worker_is_told_with_its_cause_and_resumed(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.submit(recipe(epochs=20, milliseconds=30))
    turn_until(keeper, lambda: len(run.state().curves.get(0, ())) > 3)
    before = run.read()[0]
    os.kill(pids(run)[0], signal.SIGKILL)
    told = turn_until(keeper, lambda: "RunInterrupted" in kinds(run))
    assert told < 5.0
    turn_until(keeper, over(run))
    events = run.read()[0]
    assert events[: len(before)] == before
    cause = next(e.cause for e in events if isinstance(e, RunInterrupted))
    assert "signal 9" in cause
    assert "memory" in cause
    assert run.state().status is Status.FINISHED
    assert [p.epoch for p in run.state().curves[0]] == list(range(20))
    assert len(list(run.folder.glob("log-*.txt"))) == 1, "the log of the first life is kept"


@pytest.mark.thorough
@pytest.mark.parametrize(("mode", "words"), [("crash", "exit code 7"), ("memory", "Out of memory")])
def test_a_run_that_dies_at_the_same_place_is_given_up_after_three_more_tries(
    workspace: Workspace, keeper: Supervisor, mode: str, words: str
) -> None:
    run = workspace.submit(recipe(mode))
    turn_until(keeper, lambda: kinds(run).count("RunInterrupted") == 4)
    turn_until(keeper, lambda: not keeper.monitors)
    for _ in range(20):
        keeper.turn()
    state = run.state()
    assert state.status is Status.INTERRUPTED
    assert words in state.cause
    last = "it broke" if mode == "crash" else "MemoryError"
    assert last in state.details
    assert last not in state.cause, "a person reads the cause, not the log"
    assert (state.stops, state.cause_code) == (4, {"crash": "exited", "memory": "out_of_memory"}[mode])
    assert len(pids(run)) == 4
    assert workspace.queued() == []
    assert run.summary().cause == state.cause


def test_what_a_worker_died_of() -> None:
    assert "memory" in cause_of_death(-9, "")
    assert "SIGSEGV" in cause_of_death(-11, "Fatal Python error")
    assert cause_of_death(1, "OSError: [Errno 28] No space left on device").startswith("The disk is full")
    assert cause_of_death(1, "RuntimeError: DefaultCPUAllocator: can't allocate memory").startswith("Out of memory")
    assert cause_of_death(1, "torch.OutOfMemoryError: CUDA out of memory.").startswith("Out of memory")
    assert "code 3" in cause_of_death(3, "a\nb")
    assert last_lines("a\nExtension modules: numpy, torch (total: 400)\nb") == "a\nb"
    assert "signal 40" in cause_of_death(-40, "")
    assert "unobserved" in cause_of_death(None, "")


@pytest.mark.thorough
def test_a_run_is_adopted_by_the_next_supervisor(workspace: Workspace) -> None:
    first = ensure_supervisor(workspace, worker=FAKE)
    run = workspace.submit(recipe(epochs=40, milliseconds=50))
    until(lambda: run.state().last_progress is not None)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not alive(first))
    second = ensure_supervisor(workspace, worker=FAKE)
    assert second.pid != first.pid
    until(over(run))
    assert run.state().status is Status.FINISHED
    assert len(pids(run)) == 1
    assert len(kinds(run)) == 1 + 2 + 40 + 3


@pytest.mark.thorough
def test_a_stopped_supervisor_leaves_the_running_worker_alone(workspace: Workspace) -> None:
    ensure_supervisor(workspace, worker=FAKE)
    run = workspace.submit(recipe(epochs=20, milliseconds=50))
    until(lambda: run.state().last_progress is not None)
    assert stop_supervisor(workspace)
    until(over(run))
    assert run.state().status is Status.FINISHED
    until(lambda: not _workers(workspace))  # the spare went with its keeper


@pytest.mark.thorough
def test_worker_and_supervisor_killed_together_is_told_and_mended(workspace: Workspace) -> None:
    first = ensure_supervisor(workspace, worker=FAKE)
    run = workspace.submit(recipe(epochs=20, milliseconds=30))
    until(lambda: run.state().last_progress is not None)
    for pid in (first.pid, pids(run)[0]):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(first))
    before = run.read()[0]
    ensure_supervisor(workspace, worker=FAKE)
    assert until(lambda: "RunInterrupted" in kinds(run)) < 15.0
    until(over(run))
    assert run.read()[0][: len(before)] == before
    assert run.state().status is Status.FINISHED
    assert "unobserved" in next(e.cause for e in run.read()[0] if isinstance(e, RunInterrupted))


def test_a_run_nobody_queued_is_found(workspace: Workspace, keeper: Supervisor) -> None:
    warm(keeper)
    run = workspace.create_run(recipe())
    keeper.adopt()
    assert run.state().status is Status.QUEUED, "it may be queued any moment"
    turn_until(keeper, over(run))
    assert "Never begun" in run.state().cause
    workspace.resume(run.id)
    turn_until(keeper, lambda: run.state().status is Status.FINISHED)


@pytest.mark.thorough
def test_a_spare_that_cannot_start_fails_the_waiting_run_with_its_log(workspace: Workspace) -> None:
    keeper = Supervisor(workspace, (*FAKE, "unready"), QUICK)
    run, job = workspace.submit(recipe()), workspace.create_job("echo", {})
    try:
        turn_until(keeper, lambda: over(run)() and job.done(), limit=40)
    finally:
        keeper.close()
    state = run.state()
    assert state.status is Status.FAILED
    assert state.error is not None
    assert state.error["code"] == "worker_failed"
    assert "cannot import torch" in state.details
    assert "cannot import torch" in job.details()
    assert pids(run) == []


# cancel, stall


def test_a_worker_stops_by_itself_at_its_next_batch(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.submit(recipe(epochs=1000, milliseconds=20))
    turn_until(keeper, lambda: run.state().last_progress is not None)
    workspace.cancel(run.id)
    turn_until(keeper, lambda: over(run)() and not keeper.monitors)
    assert run.state().status is Status.CANCELLED
    assert kinds(run).count("RunCancelled") == 1


def test_a_deaf_worker_is_ended_and_cancelled(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.submit(recipe("deaf"))
    turn_until(keeper, lambda: len(run.state().curves.get(0, ())) == 2)
    who = read_identity(run.worker)
    workspace.cancel(run.id)
    assert turn_until(keeper, over(run)) < 5.0
    assert run.state().status is Status.CANCELLED
    assert not alive(who)
    keeper.turn()
    assert workspace.queued() == [], "what a person cancelled does not come back"


@pytest.mark.thorough
def test_silence_is_told_and_its_end_too(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.submit(recipe("hang", epochs=4, milliseconds=50))
    turn_until(keeper, lambda: run.state().status is Status.STALLED)
    stalled = next(e for e in run.read()[0] if isinstance(e, RunStalled))
    assert stalled.seconds >= QUICK.stall
    turn_until(keeper, over(run))
    assert run.state().status is Status.FINISHED
    assert [type(e) for e in run.read()[0] if isinstance(e, RunStalled | RunResumed)] == [RunStalled, RunResumed]


# the foreground


def test_a_run_in_the_foreground_is_left_to_the_person_who_waits_for_it(
    workspace: Workspace, keeper: Supervisor
) -> None:
    run = workspace.create_run(recipe("deaf"))
    process = run_in_foreground(run, FAKE)
    until(lambda: run.state().last_progress is not None)
    warm(keeper)
    process.kill()
    process.wait()
    for _ in range(30):
        keeper.turn()
        time.sleep(0.02)
    assert not run.state().status.is_over, "the person's own process tells its end"
    mine = identity(os.getpid())
    assert mine is not None
    run.foreground.write_text(replace(mine, start=0.0).to_json())  # now that process is gone too
    turn_until(keeper, over(run))
    assert run.state().status is Status.INTERRUPTED
    assert workspace.queued() == [], "nobody waits for it any more: it is not begun again unasked"


# jobs


def test_jobs_are_answered_beside_a_run_by_one_worker_that_stays(workspace: Workspace, keeper: Supervisor) -> None:
    run = workspace.submit(recipe(epochs=1000, milliseconds=20))
    turn_until(keeper, lambda: run.state().last_progress is not None)
    first, second = workspace.create_job("echo", {"n": 1}), workspace.create_job("echo", {"n": 2})
    turn_until(keeper, lambda: first.done() and second.done())
    assert first.result()["asked"] == {"n": 1}
    assert first.result()["pid"] == second.result()["pid"] != pids(run)[0]
    assert not run.state().status.is_over
    who = identity(int(str(first.result()["pid"])))
    turn_until(keeper, lambda: not alive(who))  # idle for long enough, it gives its memory back
    third = workspace.create_job("echo", {"n": 3})
    turn_until(keeper, third.done)
    assert third.result()["pid"] != first.result()["pid"]


def test_questions_follow_each_other_though_the_answer_is_taken_away_at_once(workspace: Workspace) -> None:
    ensure_supervisor(workspace, worker=FAKE)
    for number in range(5):
        begun = time.monotonic()
        assert ask(workspace, Echo(number))["asked"] == {"n": number}
        assert time.monotonic() - begun < 15
    assert not workspace.job_ids()


def test_a_job_that_kills_its_worker_is_told_and_the_next_one_answered(
    workspace: Workspace, keeper: Supervisor
) -> None:
    jobs = [workspace.create_job(kind, {}) for kind in ("echo", "crash", "wrong", "echo")]
    turn_until(keeper, lambda: all(job.done() for job in jobs))
    assert jobs[0].result()["asked"] == {}
    with pytest.raises(UserError) as told:
        jobs[1].result()
    assert told.value.code == "worker_died"
    assert "exit code 3" in str(told.value)
    with pytest.raises(UserError) as told:
        jobs[2].result()
    assert told.value.code == "wrong"
    assert jobs[3].result()["asked"] == {}


@pytest.mark.thorough
def test_a_question_that_dies_by_a_signal_does_not_take_the_next_answer_with_it(workspace: Workspace) -> None:
    """With a real supervisor, whether its worker had answered before or not."""
    ensure_supervisor(workspace, worker=FAKE)
    for number in range(2):
        crash, following = (workspace.create_job(kind, {"n": number}) for kind in ("segfault", "echo"))
        until(lambda crash=crash, following=following: crash.done() and following.done(), 60)  # type: ignore[misc]
        with pytest.raises(UserError) as told:
            crash.result()
        assert told.value.code == "worker_died"
        assert "signal 11" in told.value.given
        assert following.result()["asked"] == {"n": number}
        assert ask(workspace, Echo("again"))["pid"] == following.result()["pid"]


def test_a_job_can_be_cancelled_waiting_or_begun(workspace: Workspace, keeper: Supervisor) -> None:
    begun, waiting = workspace.create_job("sleep", {}), workspace.create_job("sleep", {})
    turn_until(keeper, begun.worker.exists)
    for job in (begun, waiting):
        job.cancel()
    turn_until(keeper, lambda: begun.done() and waiting.done())
    for job in (begun, waiting):
        with pytest.raises(UserError) as told:
            job.result()
        assert told.value.code == "cancelled"


def test_a_quick_question_passes_a_long_job(workspace: Workspace, keeper: Supervisor) -> None:
    """In the same process: no second one needs the memory of another torch. Other long jobs wait their turn."""
    long = workspace.create_job("sensitivity", {"n": 0})
    turn_until(keeper, long.worker.exists)
    other, *quick = (workspace.create_job(kind, {}) for kind in ("rank", "preview", "profile", "preview"))
    turn_until(keeper, lambda: all(job.done() for job in quick))
    assert not long.done()
    assert not other.worker.exists()
    (long.folder / "end").touch()
    turn_until(keeper, lambda: long.done() and other.done())
    assert len({str(job.result()["pid"]) for job in (long, other, *quick)}) == 1


def test_a_question_handed_over_as_the_long_job_ends_is_answered_by_the_same_worker(
    workspace: Workspace, keeper: Supervisor
) -> None:
    long = workspace.create_job("sensitivity", {})
    turn_until(keeper, long.worker.exists)
    (long.folder / "end").touch()
    until(long.done)
    quick, next_one = workspace.create_job("preview", {}), workspace.create_job("echo", {})
    keeper.dispatcher._give_quick_job(keeper.dispatcher._running)  # type: ignore[arg-type]
    assert quick.worker.exists()
    turn_until(keeper, lambda: quick.done() and next_one.done())
    assert quick.result()["pid"] == long.result()["pid"] == next_one.result()["pid"]


def test_a_question_beside_a_long_job_that_dies_is_answered_by_another_worker(
    workspace: Workspace, keeper: Supervisor
) -> None:
    """And the long job is begun again: which of the two killed the worker is not known."""
    long = workspace.create_job("sensitivity", {})
    turn_until(keeper, long.worker.exists)
    who = read_identity(long.worker)
    assert who is not None
    os.kill(who.pid, signal.SIGSTOP)  # so that it dies before it can answer
    quick = workspace.create_job("preview", {})
    turn_until(keeper, quick.worker.exists)
    (long.folder / "end").touch()
    os.kill(who.pid, signal.SIGKILL)
    turn_until(keeper, lambda: long.done() and quick.done())
    assert quick.result()["pid"] != who.pid
    assert long.result()["pid"] != who.pid


@pytest.mark.thorough
def test_a_long_job_outlives_the_question_that_kills_its_worker(workspace: Workspace, keeper: Supervisor) -> None:
    """The question that does it is asked once more, alone; then it is answered with what happened."""
    long = workspace.create_job("sensitivity", {})
    turn_until(keeper, long.worker.exists)
    quick = workspace.create_job("preview", {"segfault": True})
    turn_until(keeper, quick.done)
    with pytest.raises(UserError) as told:
        quick.result()
    assert told.value.code == "worker_died"
    assert not long.done()
    (long.folder / "end").touch()
    turn_until(keeper, long.done)
    assert long.result()["asked"] == {}


@pytest.mark.thorough
def test_a_long_job_that_kills_its_workers_ends_whatever_is_asked_beside_it(
    workspace: Workspace, keeper: Supervisor
) -> None:
    long = workspace.create_job("sensitivity", {})
    killed: list[int] = []

    def kill_shared_worker() -> bool:
        who = read_identity(long.worker)
        if who is not None and who.pid not in killed:
            os.kill(who.pid, signal.SIGSTOP)
            quick = workspace.create_job("preview", {})
            turn_until(keeper, quick.worker.exists)
            killed.append(who.pid)
            os.kill(who.pid, signal.SIGKILL)
        return long.done()

    turn_until(keeper, kill_shared_worker)
    with pytest.raises(UserError) as told:
        long.result()
    assert told.value.code == "worker_died"
    assert len(killed) == 3


def test_a_job_left_by_a_dead_supervisor_is_told(workspace: Workspace, keeper: Supervisor) -> None:
    job = workspace.create_job("echo", {})
    job.worker.write_text(Identity(2**22 + 1, 1.0, "before").to_json())
    turn_until(keeper, job.done)
    with pytest.raises(UserError) as told:
        job.result()
    assert told.value.code == "worker_died"


# campaigns


def campaign(workspace: Workspace, kills: int, seed: int) -> None:
    """Kills worker, supervisor or both at random moments; every epoch must be there, and one process at a time."""
    chance = random.Random(seed)
    epochs = kills * 12
    run = workspace.submit(recipe(epochs=epochs, milliseconds=25))
    ensure_supervisor(workspace, worker=FAKE)
    seen = run.read()[0]
    for _ in range(kills):
        further = len(run.state().curves.get(0, ())) + 1
        until(lambda further=further: over(run)() or len(run.state().curves.get(0, ())) >= further)  # type: ignore[misc]
        time.sleep(chance.random() * 0.2)
        victims = chance.choice([["worker"], ["supervisor"], ["worker", "supervisor"]])
        for victim in victims:
            who = read_identity(run.worker) if victim == "worker" else supervisor(workspace)
            if who is not None and alive(who):
                with suppress(ProcessLookupError):
                    os.kill(who.pid, signal.SIGKILL)
                until(lambda who=who: not alive(who))  # type: ignore[misc]
        ensure_supervisor(workspace, worker=FAKE)
        events = run.read()[0]
        assert events[: len(seen)] == seen, "no recorded event is lost"
        seen = events
        assert len([pid for pid in pids(run) if identity(pid) is not None]) <= 1
        if over(run)():
            break
    until(over(run), limit=epochs * 0.05 + 60)
    assert run.state().status is Status.FINISHED
    assert [p.epoch for p in run.state().curves[0]] == list(range(epochs))
    events = run.read()[0]
    assert [e.seq for e in events] == list(range(len(events)))
    assert sum(isinstance(e, RunStarted) for e in events) == len(pids(run))
    assert not any(isinstance(e, RunCancelled) for e in events)


@pytest.mark.thorough
def test_five_kills(workspace: Workspace) -> None:
    campaign(workspace, 5, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills(workspace: Workspace) -> None:
    campaign(workspace, 50, seed=2)


def keepers_killed(workspace: Workspace, kills: int, command: tuple[str, ...]) -> None:
    """Kills the supervisor, the dashboard or both, again and again: the run goes on, in the one process it began in."""
    chance = random.Random(kills)
    run = workspace.submit(recipe(epochs=100_000, milliseconds=20))
    ensure_supervisor(workspace, worker=FAKE)
    until(lambda: run.state().last_progress is not None, limit=60)
    for number in range(kills):
        victims = [ensure_supervisor(workspace, worker=FAKE)]
        if number % 5 == 0:
            victims.append(dashboard_process.ensure_dashboard(workspace, command=command).who)
        for who in victims[chance.randrange(len(victims)) :]:
            os.kill(who.pid, signal.SIGKILL)
            until(lambda who=who: not alive(who))  # type: ignore[misc]
        ensure_supervisor(workspace, worker=FAKE)
        reached = len(run.state().curves[0])
        until(lambda reached=reached: len(run.state().curves[0]) > reached)  # type: ignore[misc]
        assert [pid for pid in pids(run) if identity(pid) is not None] == pids(run), "exactly one process, the first"
        assert len(pids(run)) == 1
    dashboard_process.stop_dashboard(workspace)
    workspace.cancel(run.id)
    until(over(run), limit=60)
    assert "RunInterrupted" not in kinds(run)


@pytest.mark.thorough
def test_three_kills_of_supervisor_and_dashboard(workspace: Workspace) -> None:
    keepers_killed(workspace, 3, FAKE_DASHBOARD)


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_fifty_kills_of_supervisor_and_dashboard(workspace: Workspace) -> None:
    begun = time.monotonic()
    keepers_killed(workspace, 50, dashboard_process.DASHBOARD)
    print(f"50 of 50 kills of supervisor and dashboard, one run process ({time.monotonic() - begun:.0f} s)")


def queue_of(workspace: Workspace, keeper: Supervisor, count: int, kept: int) -> float:
    """Queues `count` runs, cancels all but the last `kept`, and lets those be done; the slowest cancel in seconds."""
    runs = [workspace.submit(recipe(epochs=1)) for _ in range(count)]
    assert workspace.queued() == [run.id for run in runs], "order exact"
    slowest = 0.0
    for run in runs[: count - kept]:
        begun = time.perf_counter()
        workspace.cancel(run.id)
        slowest = max(slowest, time.perf_counter() - begun)
    rest = runs[count - kept :]
    assert workspace.queued() == [run.id for run in rest]
    turn_until(keeper, lambda: all(run.result.exists() for run in rest) and not keeper.monitors, limit=600)
    started = [run.state().started or 0.0 for run in rest]
    assert started == sorted(started)
    assert [run.state().status for run in rest] == [Status.FINISHED] * kept
    return slowest


def test_a_queue_is_done_in_order_and_a_cancel_is_quick(workspace: Workspace, keeper: Supervisor) -> None:
    assert queue_of(workspace, keeper, 20, kept=3) < 2.0, "ten times slower than it may be would show; 0.2 s is allowed"


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_a_queue_of_five_hundred(workspace: Workspace, keeper: Supervisor) -> None:
    slowest = queue_of(workspace, keeper, 500, kept=100)
    print(f"500 queued: order exact, the slowest of 400 cancels took {slowest:.3f} s, 100 done in order")


def _workers(workspace: Workspace) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if FAKE[1] in process.cmdline() and str(workspace.path) in _log_of(process):
                found.append(process.pid)
    return found


def _log_of(process: object) -> str:
    try:
        return os.readlink(f"/proc/{getattr(process, 'pid', 0)}/fd/1")
    except OSError:
        return ""
