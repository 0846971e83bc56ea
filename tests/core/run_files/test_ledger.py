"""What a list keeps of runs holds for the very result.json it was read from; damaged, it is made anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.events import Measured, RunFinished, RunStarted
from core.points import Point
from core.run_files.ledger import ENOUGH, Ledger
from core.runs import Run
from core.storage.sealed import seal, unseal
from core.summary import Notes
from core.workspace import Workspace
from tests.core.processes.test_workers import recipe


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path)


def finished(workspace: Workspace, accuracy: float = 0.8) -> Run:
    run = workspace.create_run(recipe())
    figures = {"accuracy": accuracy, "accuracy_low": accuracy - 0.02, "accuracy_high": accuracy + 0.02}
    point = Point(step=0, stage="transfer", method="fine_tune", name="net", bytes=1000, **figures)
    run.emit(RunStarted(1, {}), Measured("point", 0, point), RunFinished())
    return run


def read_of(workspace: Workspace, counted: list[str]) -> Callable[[Run], str]:
    def read(run: Run) -> str:
        counted.append(run.id)
        return run.summary().name

    return read


def test_a_line_says_what_the_summary_says(workspace: Workspace) -> None:
    runs = [finished(workspace, 0.7), workspace.create_run(recipe()), finished(workspace, 0.9)]
    for _ in range(2):  # the second time from the file
        lines = list(workspace.lines())
        assert [line.id for line in lines] == [run.id for run in reversed(runs)]
        assert [line.status for line in lines] == ["finished", "queued", "finished"]
        assert [line.accuracy for line in lines] == [0.9, None, 0.7]
        assert lines == [summary.line() for summary in workspace.runs()]


def test_a_run_that_is_over_is_read_once(workspace: Workspace) -> None:
    runs = [finished(workspace) for _ in range(3)]
    ids, read = [run.id for run in runs], list[str]()
    ledger = Ledger(workspace.path / "runs", workspace.cache / "x.kept", "1", read_of(workspace, read))
    assert dict(ledger.of(ids)) == dict(ledger.of(ids))
    assert read == ids
    going = workspace.create_run(recipe())
    for _ in range(2):
        list(ledger.of([*ids, going.id]))
    assert read == [*ids, going.id, going.id], "one that goes on is read each time"


def test_what_was_written_to_is_read_again(workspace: Workspace) -> None:
    run = finished(workspace)
    list(workspace.lines())
    run.annotate(Notes(name="another name"))
    assert [line.name for line in workspace.lines()] == ["another name"]
    workspace.delete(run.id)
    assert list(workspace.lines()) == []


def test_a_run_that_is_taken_up_again_is_read_again(workspace: Workspace) -> None:
    run = workspace.submit(recipe())
    workspace.cancel(run.id)
    assert [line.status for line in workspace.lines()] == ["cancelled"]
    workspace.resume(run.id)
    assert [line.status for line in workspace.lines()] == ["queued"]


def test_a_damaged_list_is_made_anew_and_never_believed(workspace: Workspace) -> None:
    run = finished(workspace)
    before = list(workspace.lines())
    path = workspace.cache / "lists" / "lines.kept"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert list(workspace.lines()) == before, place
    path.write_bytes(b"")
    assert list(workspace.lines()) == before
    assert path.read_bytes() == whole, "and the file is whole again"
    assert before[0].id == run.id


def test_a_list_of_another_version_is_not_taken_for_one_of_this(workspace: Workspace) -> None:
    run, read = finished(workspace), list[str]()
    for shape in ("1", "2", "2"):
        list(Ledger(workspace.path / "runs", workspace.cache / "x.kept", shape, read_of(workspace, read)).of([run.id]))
    assert read == [run.id] * 2


def test_a_copied_run_is_read_anew(workspace: Workspace) -> None:
    """A result.json put in place of another has another time, or another size."""
    run = finished(workspace)
    list(workspace.lines())
    document = json.loads(unseal(run.result.read_bytes()).body)
    run.result.write_bytes(seal(json.dumps({**document, "name": "put there"}).encode()))
    os.utime(run.result, ns=(1, 1))
    assert [line.name for line in workspace.lines()] == ["put there"]


def test_the_file_is_not_written_for_every_new_run(workspace: Workspace) -> None:
    for _ in range(ENOUGH + 1):
        finished(workspace)
    list(workspace.lines())
    path = workspace.cache / "lists" / "lines.kept"
    before = path.read_bytes()
    finished(workspace)
    assert len(list(workspace.lines())) == ENOUGH + 2
    assert path.read_bytes() == before


def test_a_workspace_that_cannot_be_written_to_is_listed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(workspace)

    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError

    monkeypatch.setattr("core.run_files.ledger.write_kept", refuse)
    assert [line.id for line in workspace.lines()] == [run.id]
