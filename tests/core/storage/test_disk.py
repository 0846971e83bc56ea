"""A disk that refuses is told in words: what, where, how much is needed and free, what to do; by every command."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core import cli, files
from core.engine.questions import answer as answering
from core.errors import UserError
from core.events import Measured, RunFinished, RunStarted
from core.files import Failpoint, FullDiskError, breaking
from core.points import Point
from core.runs import Run
from core.state import Status
from core.storage.disk import CODES, disk_error, free_bytes, pause_reason
from core.workspace import Workspace
from tests.commands import put_in_place

RECIPE = """
dataset = "digits"
backbone = "resnet8"
image_size = 8

[[steps]]
stage = "transfer"
method = "linear_probe"
"""


@pytest.fixture(autouse=True)
def nobody_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes have disks of their own: see the supervisor's and the engine's campaigns."""
    put_in_place(monkeypatch, "ensure_supervisor", lambda store: None)


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return int(ended.value.code or 0)


def finished(store: Workspace) -> Run:
    """A finished run with one artifact, as small as it can be."""
    run = store.create_run(RECIPE)
    folder = run.artifacts / "step-0"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"model")
    card = {
        "classes": ["a", "b"],
        "preprocessing": {"size": 8, "channels": 1, "mean": [0.5], "std": [0.5]},
        "backbone": "resnet8",
    }
    (folder / "card.json").write_text(json.dumps(card))
    point = Point(step=0, stage="transfer", method="linear_probe", name="p", accuracy=0.5, bytes=5)
    run.emit(
        RunStarted(1, {}), Measured("point", 0, point.model_copy(update={"artifact": "artifacts/step-0/model.onnx"}))
    )
    run.emit(RunFinished())
    return run


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_quota"),
        (errno.EROFS, "disk_read_only"),
        (errno.EIO, "disk_fault"),
        (errno.ESTALE, "disk_fault"),
        (errno.EACCES, "no_permission"),
        (errno.EPERM, "no_permission"),
        (errno.EMFILE, "machine_limit"),
        (errno.ENOTDIR, "unusable_path"),
        (errno.ENAMETOOLONG, "unusable_path"),
    ],
)
def test_every_way_a_disk_refuses_has_its_words(number: int, code: str) -> None:
    found = disk_error(OSError(number, os.strerror(number), "/w/x"))
    assert found is not None
    assert found.code == code in CODES
    assert "errno" not in str(found).lower()
    assert found.fix


def test_what_is_no_matter_of_a_disk_is_none() -> None:
    assert disk_error(OSError("no number")) is None
    assert disk_error(ConnectionRefusedError(errno.ECONNREFUSED, "refused")) is None
    assert disk_error(TimeoutError(errno.ETIMEDOUT, "a connection")) is None


def test_a_full_disk_names_the_file_the_need_and_what_is_free(tmp_path: Path) -> None:
    with breaking(Failpoint("enospc", 2)), pytest.raises(FullDiskError) as raised:
        files.write_atomic(tmp_path / "x", b"1" * 2_500_000)
    found = disk_error(raised.value)
    assert found is not None
    assert found.given == str(tmp_path / "x")
    assert "2.50 MB" in found.allowed
    assert "are free" in found.allowed
    pause = pause_reason(raised.value, tmp_path)
    assert all(part in pause for part in (str(tmp_path / "x"), "2.50 MB", "are free", "then resume"))


def test_a_real_full_device_is_told_with_its_path() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(FullDiskError) as raised, files._naming(Path("/dev/full"), 5):
        os.write(full, b"12345")
    os.close(full)
    assert raised.value.filename == "/dev/full"
    assert raised.value.needed == 5


def test_free_space_of_a_folder_to_come_is_that_of_its_disk(tmp_path: Path) -> None:
    assert (free_bytes(tmp_path / "not" / "yet") or 0) > 0


def submit(store: Workspace, folder: Path) -> tuple[str, ...]:
    (folder / "recipe.toml").write_text(RECIPE)
    return "submit", str(folder / "recipe.toml")


def cancel(store: Workspace, folder: Path) -> tuple[str, ...]:
    return "cancel", store.submit(RECIPE).id


def resume(store: Workspace, folder: Path) -> tuple[str, ...]:
    run = store.submit(RECIPE)
    store.cancel(run.id)
    return "resume", run.id


def delete(store: Workspace, folder: Path) -> tuple[str, ...]:
    return "delete", finished(store).id


def export(store: Workspace, folder: Path) -> tuple[str, ...]:
    return "export", finished(store).id, "--out", str(folder / "bundle")


def ask(store: Workspace, folder: Path) -> tuple[str, ...]:
    return "import", str(folder), "--name", "mine"


def run(store: Workspace, folder: Path) -> tuple[str, ...]:
    return "run", submit(store, folder)[1]


COMMANDS: tuple[Callable[[Workspace, Path], tuple[str, ...]], ...] = (submit, cancel, resume, delete, export)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("ready", "kind"),
    [
        pytest.param(ready, kind, marks=() if (ready is submit) == (kind == "enospc") else pytest.mark.faults)
        for ready in COMMANDS
        for kind in ("enospc", "eio")
    ],
)
def test_a_command_at_every_operation_of_a_refusing_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, ready: Callable[[Workspace, Path], tuple[str, ...]]
) -> None:
    for at in range(1, 100):
        folder = tmp_path / str(at)
        store = Workspace.open_or_create(folder / "w")
        words = (*ready(store, folder), "--workspace", str(store.path), "--json")
        before = store.run_ids()
        with breaking(Failpoint(kind, at)) as fault:
            code = command(*words)
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        if code:
            (error,) = json.loads(told.out)["errors"]
            assert (code, error["code"]) == (2, "disk_full" if kind == "enospc" else "disk_fault")
            assert str(folder) in error["given"], "which file"
            if ready is submit:
                assert store.run_ids() == before, "a refused command leaves the workspace as it was"
                assert not list((store.path / "runs").glob(".new-*"))
        for row in store.runs():
            assert isinstance(row.status, Status)
        assert command(*words) in (0, 2), "asked again, it is done, or says that it was done before"
        capsys.readouterr()
        if not fault.fired:
            assert code == 0
            break
    else:
        pytest.fail("never passed")
    assert at > 3


@pytest.mark.parametrize("ready", [ask, run])
def test_a_command_that_needs_a_worker_is_refused_before_one_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ready: Callable[[Workspace, Path], tuple[str, ...]]
) -> None:
    store = Workspace.open_or_create(tmp_path / "w")
    words = ready(store, tmp_path)
    for at in (1, 3, 5):
        with breaking(Failpoint("enospc", at, lasting=True)):
            assert command(*words, "--workspace", str(store.path), "--json") == 2
        assert json.loads(capsys.readouterr().out)["errors"][0]["code"] == "disk_full"
        assert store.runs() == [], "and leaves no half-made run"


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, Run]:
    """A workspace on a disk that can only be read: writing fails, and `access` says so."""
    store = Workspace.open_or_create(tmp_path / "w")
    run = finished(store)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))
    return store, run


def test_a_read_only_workspace_is_read_by_every_command_that_only_reads(
    read_only: tuple[Workspace, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, run = read_only
    before = sorted(store.path.rglob("*"))
    place = ("--workspace", str(store.path), "--json")
    with breaking(Failpoint("erofs", 1, lasting=True)):
        assert command("runs", *place) == 0
        assert json.loads(capsys.readouterr().out)[0]["run"] == run.id
        assert command("show", run.id, *place) == 0
        assert command("list", "datasets", *place) == 0
        capsys.readouterr()
        for words in (("cancel", run.id), ("delete", run.id), ("submit", submit(store, tmp_path)[1])):
            code = command(*words, *place)
            told = capsys.readouterr()
            assert code == 2 or words[0] == "cancel", "what is over needs no cancelling"
            assert "Traceback" not in told.err
    assert command("export", run.id, "--out", str(tmp_path / "bundle"), *place) == 0
    assert sorted(store.path.rglob("*")) == before


def test_reading_makes_no_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("--workspace", str(tmp_path / "not yet"))
    assert command("runs", *place) == 0
    assert command("stop", *place) == 0
    for words in (("show", "x"), ("cancel", "x"), ("resume", "x"), ("delete", "x"), ("export", "x", "--out", "y")):
        assert command(*words, *place) == 2
    assert os.listdir(tmp_path) == []


def test_a_job_that_meets_a_full_disk_is_answered_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Workspace.open_or_create(tmp_path)
    for error, code in (
        (FullDiskError(errno.ENOSPC, "No space left on device", tmp_path / "images", 10_000_000), "disk_full"),
        (OSError(errno.EIO, "Input/output error", str(tmp_path)), "disk_fault"),
        (OSError("a fault of ours"), "internal"),
    ):
        job = store.create_job("import", {})

        def fail(*_: object, error: OSError = error) -> None:
            raise error

        monkeypatch.setattr(answering, "_result", fail)
        answering.answer(job)
        with pytest.raises(UserError) as told:
            job.result()
        assert told.value.code == code
        assert bool(job.details()) == (code == "internal")
