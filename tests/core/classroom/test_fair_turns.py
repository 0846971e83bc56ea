"""One supervisor for a class: whoever waits longest is next, a corner has no supervisor of its own, limits are kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.classroom.learners import Class
from core.classroom.limits import Limits, limits, minutes, set_limits, usage
from core.classroom.overview import everybody, stop_all
from core.errors import UserError
from core.own.dataset_edits import AddImages
from core.processes.supervisor import Supervisor
from core.processes.workers import ensure_supervisor, stop_supervisor, supervisor
from core.questions.dataset_edit import EditRequest
from core.questions.import_data import ImportRequest
from core.runs import Run, Status
from core.search.store import create, search_ids
from core.workspace import Workspace
from core.workspace_files.uploads import keep_file
from tests.core.processes.test_supervisor import QUICK, let_go, turn_until
from tests.core.processes.test_workers import FAKE, recipe
from tests.dashboard.test_search_page import asked


def corner(root: Workspace, name: str) -> Workspace:
    joined = Class(root.path).join(name)
    return Workspace.open_or_create(root.path / "class" / joined.learner.id)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Workspace]:
    store = Workspace.open_or_create(tmp_path / "w")
    yield store
    stop_supervisor(store)


@pytest.fixture
def keeper(root: Workspace) -> Iterator[Supervisor]:
    keeper = Supervisor(root, FAKE, QUICK)
    yield keeper
    let_go(keeper)


def order(keeper: Supervisor, runs: dict[str, Run]) -> list[str]:
    """Does all runs and returns their names in the order in which they began."""
    turn_until(keeper, lambda: all(run.state().status.is_over for run in runs.values()) and not keeper.monitors, 60.0)
    assert {run.state().status for run in runs.values()} == {Status.FINISHED}
    return sorted(runs, key=lambda name: runs[name].state().started or 0.0)


@pytest.mark.thorough
def test_many_runs_of_one_do_not_starve_the_others(root: Workspace, keeper: Supervisor) -> None:
    ana, bob, eve = corner(root, "Ana"), corner(root, "Bob"), corner(root, "Eve")
    runs = {f"a{n}": ana.submit(recipe()) for n in range(5)}
    runs |= {f"b{n}": bob.submit(recipe()) for n in range(2)}
    runs |= {"e0": eve.submit(recipe()), "t0": root.submit(recipe())}
    began = order(keeper, runs)
    assert sorted(name[0] for name in began[:4]) == ["a", "b", "e", "t"], "everybody once in the first round"
    assert sorted(name[0] for name in began[4:6]) == ["a", "b"], "then those who wait"
    assert [name for name in began if name[0] == "a"] == ["a0", "a1", "a2", "a3", "a4"], "each one's own order is kept"


@pytest.mark.thorough
def test_who_joins_and_asks_late_waits_for_one_run_at_most(root: Workspace, keeper: Supervisor) -> None:
    ana = corner(root, "Ana")
    runs = {f"a{n}": ana.submit(recipe()) for n in range(4)}
    turn_until(keeper, lambda: keeper.monitors)
    runs["late"] = corner(root, "Late").submit(recipe())
    assert order(keeper, runs).index("late") <= 2


def test_jobs_of_a_learner_are_answered_in_turns_too(root: Workspace, keeper: Supervisor) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    jobs = [ana.create_job("echo", {"n": n}) for n in range(3)] + [bob.create_job("echo", {"n": 9})]
    turn_until(keeper, lambda: all(job.done() for job in jobs), 60.0)
    ended = [job.answer_path.stat().st_mtime_ns for job in jobs]
    assert ended[3] < ended[1], "Bob's only job comes before Ana's second"
    assert [job.workspace for job in jobs] == [ana.path] * 3 + [bob.path]


def test_a_corner_is_served_by_the_supervisor_around_it(root: Workspace) -> None:
    ana = corner(root, "Ana")
    who = ensure_supervisor(ana, worker=FAKE)
    assert supervisor(root) == who == supervisor(ana)
    assert not (ana.path / "supervisor.json").exists()
    run = ana.submit(recipe())
    until = time.monotonic() + 30
    while not run.state().status.is_over and time.monotonic() < until:
        time.sleep(0.02)
    assert run.state().status is Status.FINISHED


def test_a_hundred_runs_are_refused_in_a_sentence(root: Workspace) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    most = limits(root.path).waiting
    queued = [ana.submit(recipe()).id for _ in range(most)]
    for _ in range(100 - most):
        with pytest.raises(UserError) as told:
            ana.submit(recipe())
    assert (told.value.code, told.value.allowed) == ("class_waiting", f"at most {most}")
    assert ana.queued() == ana.run_ids() == queued, "nothing of the refused ones is there"
    bob.submit(recipe())
    ana.cancel(queued[0])
    with pytest.raises(UserError):
        [ana.resume(queued[0]), ana.submit(recipe())]
    assert len(ana.queued()) == most
    for _ in range(most + 5):
        root.submit(recipe())  # the teacher has no limit


def test_runs_asked_for_in_many_tabs_at_once_stay_within_the_limit(root: Workspace) -> None:
    ana = corner(root, "Ana")
    set_limits(root.path, Limits(waiting=3))

    def ask(_: int) -> bool:
        try:
            return bool(Workspace(ana.path).submit(recipe()).id)
        except UserError:
            return False

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(ask, range(12))) == 3
    assert len(ana.queued()) == len(ana.run_ids()) == 3


def test_of_searches_asked_for_in_many_tabs_at_once_one_begins(root: Workspace) -> None:
    ana = corner(root, "Ana")

    def ask(_: int) -> bool:
        try:
            return bool(create(Workspace(ana.path), asked()).id)
        except UserError:
            return False

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(ask, range(12))) == 1
    assert len(search_ids(ana)) == 1


def test_what_is_stopped_begins_no_further_runs(root: Workspace) -> None:
    ana = corner(root, "Ana")
    search, run = create(ana, asked()), ana.submit(recipe())
    (found,) = everybody(root.path)
    assert stop_all(found) == 1
    assert run.state().status is Status.CANCELLED
    assert search.progress().is_over


def test_used_up_minutes_pause_a_run_and_say_so(root: Workspace, keeper: Supervisor) -> None:
    ana = corner(root, "Ana")
    first = ana.submit(recipe())
    turn_until(keeper, lambda: first.state().status.is_over and not keeper.monitors)
    assert 0 < minutes(ana.path) < 1
    waiting = ana.submit(recipe())
    set_limits(root.path, limits(root.path).model_copy(update={"minutes": 0}))
    assert limits(root.path) == Limits(), "a limit that is none is not believed"
    _lengthen(first, hours=2)
    assert minutes(ana.path) > 100
    turn_until(keeper, lambda: waiting.state().status is Status.PAUSED)
    assert waiting.state().cause_code == "class_minutes"
    assert "minutes of running" in waiting.state().cause
    with pytest.raises(UserError) as told:
        ana.resume(waiting.id)
    assert told.value.code == "class_minutes"
    ana.delete(first.id)
    assert minutes(ana.path) > 100, "what is in the trash was run too"
    set_limits(root.path, Limits(minutes=1000))
    ana.resume(waiting.id)
    turn_until(keeper, lambda: waiting.state().status is Status.FINISHED)


def _lengthen(run: Run, hours: int) -> None:
    """As if the run had taken so long."""
    run._store(run.summary().model_copy(update={"lasted": hours * 3600.0}))


def test_a_full_corner_is_told(root: Workspace) -> None:
    ana = corner(root, "Ana")
    set_limits(root.path, Limits(disk=10**7))
    (ana.path / "datasets" / "big").write_bytes(b"x" * 10**7)
    with pytest.raises(UserError) as told:
        ana.submit(recipe())
    assert told.value.code == "class_disk"
    assert usage(ana.path).disk >= 10**7
    assert ana.run_ids() == []
    corner(root, "Bob").submit(recipe())


def test_a_learner_imports_uploads_and_no_file_of_the_machine(root: Workspace) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    mine, theirs = keep_file(ana, "a.zip", b"x"), keep_file(bob, "b.zip", b"x")
    assert ana.ask(ImportRequest(str(mine), "a")).id
    (root.path / "secret.zip").write_bytes(b"x")
    link = ana.path / "jobs" / ".upload-x"
    link.mkdir()
    (link / "l.zip").symlink_to(root.path / "secret.zip")
    escape = f"{mine.parent}/../../../../secret.zip"
    for path in (str(theirs), "/etc/passwd", str(root.path / "secret.zip"), escape, str(link / "l.zip"), "~", ""):
        before = ana.job_ids()
        for request in (ImportRequest(path, "a"), EditRequest("a", AddImages(path=path))):
            with pytest.raises(UserError) as told:
                ana.ask(request)
            assert told.value.code == "path_not_yours", path
        assert ana.job_ids() == before
    assert ana.ask(EditRequest("a", AddImages(path=str(mine)))).id
    assert root.ask(ImportRequest("/etc/passwd", "a")).id, "the teacher's machine is the teacher's"


def test_the_ids_of_another_are_unknown(root: Workspace) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    run, job = bob.submit(recipe()), bob.create_job("echo", {})
    for text in (run.id, f"../../{bob.path.name}/runs/{run.id}", f"{bob.path.name}/{run.id}", str(run.folder)):
        for refused in (ana.run, ana.cancel, ana.resume, ana.delete, ana.restore):
            with pytest.raises((UserError, OSError)):
                refused(text)
        with pytest.raises(UserError):
            ana.reorder(text, 0)
        with pytest.raises(UserError):
            ana.job(text)
    with pytest.raises(UserError):
        ana.job(job.id)
    assert bob.queued() == [run.id]
    assert ana.runs() == []
    assert list(ana.lines()) == []


def test_a_second_search_waits_for_the_first(root: Workspace) -> None:
    ana = corner(root, "Ana")
    first = create(ana, asked())
    with pytest.raises(UserError) as told:
        create(ana, asked())
    assert told.value.code == "class_search"
    assert search_ids(ana) == [first.id]
    create(corner(root, "Bob"), asked())
    create(root, asked())
    create(root, asked())
    first.cancel()
    assert create(ana, asked()).id != first.id
