"""A job with several mistakes tells them all; a fault of the worker is no success."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine import worker
from core.engine.questions import answer as answering
from core.errors import UserError, UserErrors
from core.runs import Status
from core.workspace import Workspace
from tests.core.test_empty import EMPTY

TWO = [UserError("a", "steps.0.epochs", 0, "1 to 9", "Set 1."), UserError("b", "backbone", "x", "y", "z")]


def test_all_mistakes_of_a_recipe_come_back(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    job = store.create_job("preview", {"recipe": EMPTY.replace("resnet8", "nonsense").replace("digits", "gone")})
    answering.answer(job)
    with pytest.raises(UserErrors) as told:
        job.result()
    assert {error.field for error in told.value.errors} == {"dataset", "backbone"}


@pytest.mark.parametrize("error", [TWO[0], UserErrors(TWO[:1]), UserErrors(TWO)])
def test_one_mistake_is_one_and_several_are_several(tmp_path: Path, error: UserError | UserErrors) -> None:
    job = Workspace.open_or_create(tmp_path).create_job("preview", {})
    job.fail(error, "details")
    several = isinstance(error, UserErrors) and len(error.errors) > 1
    with pytest.raises(UserErrors if several else UserError) as told:
        job.result()
    assert str(told.value) == str(error)
    assert job.details() == "details"


def test_an_answer_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    job = Workspace.open_or_create(tmp_path).create_job("preview", {})
    job._end({"error": dict(TWO[0].to_json()), "details": ""})
    with pytest.raises(UserError, match="Set 1"):
        job.result()


@pytest.mark.parametrize(
    ("message", "raised"), [("shapes do not match", True), ("not enough memory: you tried to allocate 9", False)]
)
def test_a_runtime_error_of_ours_ends_the_process_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, raised: bool
) -> None:
    def broken(run: object, pid: int) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(worker, "run_recipe", broken)
    run = Workspace.open_or_create(tmp_path).create_run(EMPTY)
    if raised:
        with pytest.raises(RuntimeError, match=message):
            worker.execute(run)
    else:
        worker.execute(run)
    assert run.state().status is Status.FAILED
    assert (run.state().error or {})["code"] == ("internal" if raised else "out_of_memory")
