"""Ids never become paths outside, a refused command leaves no trace, and every fault leaves a whole workspace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.errors import UserError
from core.events import Measured, Progress, RunFinished, RunInterrupted, RunStarted, StepStarted, Warned
from core.files import Failpoint, breaking
from core.jobs import JobProgress
from core.points import Point
from core.runs import RunSummary, Status
from core.workspace import FOLDERS, KEEP_TRASH, Workspace, new_id
from tests.core.test_files import survives

RECIPE = 'schema = 1\nname = "small"\ndataset = "fashion-mini"\nbackbone = "resnet8"\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "w")


# opening


def test_the_folder_comes_from_the_argument_the_environment_or_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path / "env"))
    assert Workspace.open_or_create().path == tmp_path / "env"
    assert Workspace.open_or_create(tmp_path / "given").path == tmp_path / "given"
    monkeypatch.delenv("CONDENSER_WORKSPACE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "xdg").mkdir()
    (tmp_path / "home").mkdir()
    assert Workspace.open_or_create().path.is_relative_to(tmp_path)


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError) as told:
            Workspace.open_or_create(path)
        assert told.value.code == "workspace_is_file"
        assert told.value.field == "workspace"
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_folder_that_cannot_be_written_is_refused_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError) as told, breaking(Failpoint("erofs", 1, lasting=True)):
        Workspace.open_or_create(tmp_path / "new")
    assert told.value.code == "workspace_not_writable"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError):
        Workspace.open_or_create(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_is_closed_to_others_an_older_one_too(tmp_path: Path) -> None:
    for name in ("new", "older"):
        path = tmp_path / name
        if name == "older":
            for folder in FOLDERS:
                (path / folder).mkdir(parents=True)
                (path / folder).chmod(0o755)
            path.chmod(0o755)
            (path / "supervisor.json").write_text("{}")
        Workspace.open_or_create(path)
        assert {p.stat().st_mode & 0o777 for p in (path, *(path / name for name in FOLDERS))} == {0o700}


def test_a_folder_with_other_things_in_it_keeps_its_rights(tmp_path: Path) -> None:
    """A home folder, for one: only what is ours in it is closed."""
    (tmp_path / "letters").mkdir()
    tmp_path.chmod(0o755)
    Workspace.open_or_create(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in FOLDERS} == {0o700}


def test_looking_makes_nothing(tmp_path: Path) -> None:
    store = Workspace.open_to_read(tmp_path / "not there")
    assert (store.runs(), store.job_ids()) == ([], [])
    with pytest.raises(UserError):
        store.run(new_id())
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path / "file", tmp_path / ("x" * 300), tmp_path / "/".join(["x" * 200] * 30)):
        for opening in (Workspace.open_to_read, Workspace.open_or_create):
            with pytest.raises(UserError) as told:
                opening(path)
            assert told.value.code in ("workspace_is_file", "workspace_path")
            assert told.value.field == "workspace"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_opening_twice_changes_nothing(workspace: Workspace) -> None:
    run = workspace.create_run(RECIPE, "small")
    again = Workspace.open_or_create(workspace.path)
    assert [r.id for r in again.runs()] == [run.id]


# runs


def test_a_created_run_keeps_its_recipe_to_the_byte(workspace: Workspace) -> None:
    text = RECIPE + "# 注\n"
    run = workspace.create_run(text, "small")
    assert run.recipe_text == text
    assert run.state().status is Status.QUEUED
    assert workspace.run(run.id).state().name == "small"
    assert workspace.create_run(text, "another").state().name == "another"


BAD_IDS = [
    "../../etc",
    "..",
    ".",
    "",
    "/",
    "a" * 1_000_000,
    "x\0",
    "0" * 13 + "-" + "0" * 6 + "\n",
    "<script>",
    "０" * 13,
]


@pytest.mark.parametrize("run_id", [*BAD_IDS, "6610e7478a989-3cd723"], ids=repr)
def test_an_unknown_id_is_a_user_error_whatever_it_looks_like(workspace: Workspace, run_id: str) -> None:
    for ask in (workspace.run, workspace.delete, workspace.restore, workspace.cancel, workspace.resume, workspace.job):
        with pytest.raises(UserError) as told:
            ask(run_id)
        assert told.value.code in {"unknown_run", "unknown_job"}
        assert len(str(told.value)) < 500


def test_a_workspace_that_is_only_just_being_made_has_no_runs(tmp_path: Path) -> None:
    assert Workspace(tmp_path / "not yet").run_ids() == []


def test_ids_sort_by_time() -> None:
    ids = []
    for _ in range(50):
        ids.append(new_id())
        time.sleep(1e-5)
    assert ids == sorted(ids)
    assert len(set(ids)) == 50


def test_runs_are_listed_newest_first_and_strangers_ignored(workspace: Workspace) -> None:
    ids = [workspace.create_run(RECIPE, f"r{n}").id for n in range(3)]
    (workspace.path / "runs" / ".new-junk").mkdir()
    (workspace.path / "runs" / "README").write_text("x")
    workspace.run(ids[1]).emit(RunFinished())
    rows = workspace.runs()
    assert [row.id for row in rows] == ids[::-1]
    assert [row.status for row in rows] == [Status.QUEUED, Status.FINISHED, Status.QUEUED]


def test_deleting_can_be_undone(workspace: Workspace) -> None:
    run = workspace.submit(RECIPE, "small")
    workspace.delete(run.id)
    assert workspace.runs() == []
    assert workspace.queued() == []
    with pytest.raises(UserError):
        workspace.run(run.id)
    assert workspace.restore(run.id).recipe_text == RECIPE
    assert [r.id for r in workspace.runs()] == [run.id]
    workspace.delete(run.id)
    workspace.restore(run.id)


def test_a_running_run_is_not_deleted(workspace: Workspace) -> None:
    run = workspace.create_run(RECIPE, "small")
    with run.claim() as mine:
        assert mine
        with pytest.raises(UserError) as told:
            workspace.delete(run.id)
    assert told.value.code == "run_is_running"
    assert run.folder.is_dir()


def test_old_trash_and_old_answers_go_and_the_rest_stays(workspace: Workspace) -> None:
    old, young = workspace.create_run(RECIPE), workspace.create_run(RECIPE)
    job = workspace.create_job("preview", {})
    for run in (old, young):
        workspace.delete(run.id)
    long_ago = time.time() - KEEP_TRASH - 60
    os.utime(workspace.path / "trash" / old.id, (long_ago, long_ago))
    (workspace.path / "runs" / ".new-x").mkdir()
    os.utime(workspace.path / "runs" / ".new-x", (long_ago, long_ago))
    workspace.tidy()
    assert os.listdir(workspace.path / "trash") == [young.id]
    assert os.listdir(workspace.path / "runs") == []
    assert workspace.job_ids() == [job.id]


# the queue


def test_the_queue_is_in_order_of_submission(workspace: Workspace) -> None:
    ids = [workspace.submit(RECIPE, f"r{n}").id for n in range(20)]
    assert workspace.queued() == ids
    workspace.queue(workspace.run(ids[3]))
    assert workspace.queued() == ids, "once only"
    workspace.unqueue(ids[3])
    workspace.queue(workspace.run(ids[3]), front=True)
    assert workspace.queued() == [ids[3], *ids[:3], *ids[4:]]


def test_reordering_equals_moving_in_a_list(workspace: Workspace) -> None:
    ids = [workspace.submit(RECIPE).id for _ in range(6)]
    for moved, position in ((0, 5), (3, 0), (5, 2), (2, 99), (1, -4)):
        ids.insert(max(0, min(position, 5)), run_id := ids.pop(moved))
        workspace.reorder(run_id, position)
        assert workspace.queued() == ids
    with pytest.raises(UserError) as told:
        workspace.reorder(new_id(), 0)
    assert told.value.code == "not_queued"


def test_cancelling_a_waiting_run_takes_it_out_and_resuming_puts_it_back(workspace: Workspace) -> None:
    first, second = workspace.submit(RECIPE), workspace.submit(RECIPE)
    begun = time.perf_counter()
    workspace.cancel(first.id)
    assert time.perf_counter() - begun < 1.0
    assert workspace.queued() == [second.id]
    assert first.state().status is Status.CANCELLED
    workspace.resume(first.id)
    assert workspace.queued() == [second.id, first.id]
    assert first.state().status is Status.QUEUED


# jobs


def test_a_job_is_answered_once(workspace: Workspace) -> None:
    job = workspace.create_job("preview", {"backbone": "resnet8", "ratio": 0.5})
    asked = workspace.job(job.id)
    assert (asked.kind, asked.request) == ("preview", {"backbone": "resnet8", "ratio": 0.5})
    assert not job.done()
    assert job.progress() is None
    with pytest.raises(RuntimeError):
        job.result()
    asked.tell(1, 4, "pruning")
    assert job.progress() == JobProgress(1, 4, "pruning")
    with pytest.raises(ValueError):
        asked.answer({"params": float("nan")})
    assert not job.done()
    asked.answer({"params": 12})
    assert job.done()
    assert job.result() == {"params": 12}


def test_a_failed_job_raises_the_error_as_the_engine_told_it(workspace: Workspace) -> None:
    job = workspace.create_job("preview", {})
    error = UserError("out_of_range", "ratio", 2, "a number from 0 to 0.9", "Set it lower.")
    job.fail(error, "Traceback …")
    with pytest.raises(UserError) as told:
        job.result()
    assert told.value.to_json() == error.to_json()
    assert job.details() == "Traceback …"


# faults


def life(workspace: Workspace) -> None:
    """Create a run, emit five events, finish, list."""
    run = workspace.submit(RECIPE, "small")
    run.emit(RunStarted(os.getpid(), {}))
    run.emit(StepStarted(0, "transfer", "linear_probe", "probe", 1))
    run.emit(Progress(0, 0, "training", 0, 1, 0, 1, loss=0.5))
    run.emit(Measured("point", 0, Point(step=0, stage="transfer", method="linear_probe", name="p", accuracy=0.5)))
    run.emit(Warned(None, "x", "y"))
    run.emit(RunFinished())
    workspace.unqueue(run.id)
    workspace.runs()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "kind", ["torn", "enospc", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("kill", "eio", "erofs"))]
)
def test_every_fault_in_a_runs_life_leaves_a_workspace_that_works(tmp_path: Path, kind: str) -> None:
    for at in range(1, 200):
        workspace = Workspace.open_or_create(tmp_path / str(at))
        if survives(kind, at, lambda workspace=workspace: life(workspace)):  # type: ignore[misc]
            break
        for row in Workspace.open_or_create(workspace.path).runs():
            run = workspace.run(row.id)
            assert run.recipe_text == RECIPE, (kind, at)
            told = run.scan()
            assert [e.seq for e in told.events] == list(range(len(told.events))), (kind, at)
            assert told.damaged == 0
            run.emit(RunInterrupted("found later")) if not row.status.is_over else None
            assert run.scan().events[: len(told.events)] == told.events
            assert run.scan().damaged <= (1 if kind == "torn" else 0)
            assert run.summary().status.is_over
            assert run.summary().points == run.state().points
        if at % 6 == 0:
            life(workspace)
    else:
        pytest.fail("never passed")
    assert at > 40, "the scenario has dozens of operations"
    assert [row.status for row in workspace.runs()] == [Status.FINISHED]


# many


def many(workspace: Workspace, count: int) -> None:
    points = tuple(
        Point(step=n, stage="prune", method="l2", name=f"step {n}", accuracy=0.9, bytes=10**6, params=10**5, macs=10**7)
        for n in range(4)
    )
    summary = RunSummary(name="small", status=Status.FINISHED, dataset="d", backbone="b", points=points)
    text = summary.model_dump_json(exclude={"id"}, exclude_none=True)
    for n in range(count):
        folder = workspace.path / "runs" / f"{n:013x}-000000"
        folder.mkdir()
        (folder / "result.json").write_text(text)


def test_a_thousand_runs_are_listed_from_their_results(workspace: Workspace) -> None:
    many(workspace, 1000)
    begun = time.perf_counter()
    rows = workspace.runs()
    seconds = time.perf_counter() - begun
    assert len(rows) == 1000
    assert rows[0].points[3].bytes == 10**6
    assert seconds < 2.0, "a hundred times slower would show; 0.1 s was measured"


@pytest.mark.slow
def test_ten_thousand_runs_are_listed_in_little_time(workspace: Workspace) -> None:
    many(workspace, 10_000)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        assert len(workspace.runs()) == 10_000
        times.append(time.perf_counter() - begun)
    print(f"10,000 result.json: {min(times):.2f} s")
    assert min(times) < 4.0, "about a second on a calm machine, each summary checked against its hash"
