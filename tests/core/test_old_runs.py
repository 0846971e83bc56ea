"""Runs made by an earlier version are listed, shown and resumed as what they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import cli
from core.commands.terminal import conclusion
from core.comparison.paired import with_verdicts
from core.controls import WITHOUT_TEACHER
from core.recipe import parse_recipe
from core.runs import Run
from core.state import Status
from core.workspace import Workspace
from tests.core import old_runs
from tests.core.old_runs import FINISHED, INTERRUPTED


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    old_runs.put_into(tmp_path)
    return Workspace.open_or_create(tmp_path)


def printed(workspace: Workspace, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--workspace", str(workspace.path)])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_they_are_listed_with_their_state(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(workspace, capsys, "runs", "--json"))
    assert [(each["run"], each["status"], len(each["points"]), len(each["controls"])) for each in found] == [
        (INTERRUPTED, "cancelled", 1, 0),
        (FINISHED, "finished", 4, 1),
    ]


def test_they_are_shown_with_the_names_of_today(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(workspace, capsys, "show", FINISHED, "--json"))
    assert [point["backbone"] for point in found["points"]] == ["resnet8"] * 4
    assert [control["control"] for control in found["controls"]] == [WITHOUT_TEACHER]
    assert found["points"][1]["accuracy"] == 0.575, "as its result.json has it"
    table = printed(workspace, capsys, "show", FINISHED)
    assert "1 distill" in table
    assert "57.5 ± 5.1 %" in table
    assert "control: twin" in table


def test_the_conclusion_compares_with_the_old_control(workspace: Workspace) -> None:
    """57.5 % with a teacher, 86.7 % without one: by intervals, as the answers to the images are not kept here."""
    run = workspace.run(FINISHED)
    assert "The teacher did harm: without it the student is 29.2 points better" in conclusion(run, run.summary())


@pytest.mark.parametrize("run_id", [FINISHED, INTERRUPTED])
def test_the_log_alone_tells_the_same(workspace: Workspace, run_id: str) -> None:
    """What is told of it: the stored summary has a share of a lead, which is judged anew."""
    run = workspace.run(run_id)
    stored = with_verdicts(run, run.summary())
    (workspace.path / "runs" / run_id / "result.json").unlink()
    again = Run(workspace.path / "runs" / run_id)
    told = with_verdicts(again, again.summary())
    assert (told.points, told.controls, told.status) == (stored.points, stored.controls, stored.status)
    assert not told.lost


@pytest.mark.parametrize("run_id", [FINISHED, INTERRUPTED])
def test_the_recipe_is_accepted_today(workspace: Workspace, run_id: str) -> None:
    run = workspace.run(run_id)
    assert parse_recipe(run.recipe_text) == run.recipe()


def test_the_interrupted_one_is_queued_again_and_keeps_what_it_measured(workspace: Workspace) -> None:
    before = workspace.run(INTERRUPTED).state()
    workspace.resume(INTERRUPTED)
    after = Run(workspace.path / "runs" / INTERRUPTED).state()
    assert (before.status, after.status) == (Status.CANCELLED, Status.QUEUED)
    assert after.points == before.points
    assert after.curves == before.curves
    assert workspace.queued() == [INTERRUPTED]
