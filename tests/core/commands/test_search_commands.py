"""Searches and sweeps as a person or a script meets them at a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import cli
from core.processes import searches as processes
from core.processes.searches import stop_drivers
from core.processes.workers import end, ensure_supervisor, read_identity, stop_supervisor
from core.search import store
from core.workspace import Workspace
from tests.commands import put_in_place
from tests.core.search.planted import RECIPE
from tests.core.search.test_driver import FAKE, until


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    made = Workspace.open_or_create(tmp_path / "w")
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(made.path))
    real = processes.ensure_driver
    put_in_place(monkeypatch, "ensure_supervisor", lambda opened: ensure_supervisor(opened, worker=FAKE))
    put_in_place(monkeypatch, "ensure_driver", lambda opened, search: real(opened, search, FAKE))
    yield made
    stop_drivers(made)
    stop_supervisor(made)
    for run_id in made.run_ids():
        if who := read_identity(made.run(run_id).worker):
            end(who, kill=True)


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return str(tmp_path / "recipe.toml")


def run(*words: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == code


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.thorough
def test_a_search_prints_its_trials_and_what_to_take(
    workspace: Workspace, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        "search",
        recipe,
        "--vary",
        "steps.2.ratio=.2:.8",
        "--vary",
        "steps.3.bits=4,8",
        "--max-bytes",
        "150kB",
        "--max-latency",
        "2ms",
        "--trials",
        "5",
    )
    shown = capsys.readouterr()
    assert shown.err.count("on validation") == 5
    assert "Take trial" in shown.out or "None of 5 trials meets the bounds" in shown.out
    assert len(workspace.run_ids()) == 5
    search_id = store.search_ids(workspace)[0]
    run("searches", search_id, "--json")
    found = told(capsys)
    assert found["search"] == search_id
    assert found["vary"] == ["steps.2.ratio=0.2:0.8", "steps.3.bits=4,8"]
    assert len(found["trials"]) == 5
    assert {"recommended", "reason", "front", "bounds"} <= found.keys()
    run("searches")
    assert "search  5 of 5" in capsys.readouterr().out
    run("verify", "--json")
    files = {one["file"] for one in told(capsys)}
    assert {f"searches/{search_id}/search.json", f"searches/{search_id}/progress.json"} <= files


@pytest.mark.thorough
def test_a_sweep_prints_its_grid(workspace: Workspace, recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("sweep", recipe, "--vary", "steps.2.ratio=.2:.6", "--points", "3", "--json")
    found = told(capsys)
    assert [trial["values"]["steps.2.ratio"] for trial in found["trials"]] == [0.2, 0.4, 0.6]
    assert found["status"] == "finished"


@pytest.mark.thorough
def test_one_that_is_left_alone_is_cancelled_and_taken_up(
    workspace: Workspace, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("search", recipe, "--vary", "steps.2.ratio=.2:.8", "--trials", "30", "--detach")
    search_id = capsys.readouterr().out.strip()
    made = store.find(workspace, search_id)
    until(lambda: made.progress().trials)
    run("cancel", search_id)
    until(lambda: made.progress().is_over)
    assert made.progress().status == "cancelled"
    run("resume", search_id)
    until(lambda: made.progress().status == "running")
    run("stop")
    assert "1 search rests until it is started again." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--vary", "steps.2.ratio=.2:.8", "--trials", "0"), "--trials"),
        (("--vary", "steps.2.ratio=.2"), "steps.2.ratio"),
        (("--vary", "steps.2.ratoi=.2:.8"), "steps.2.ratoi"),
        (("--vary", "steps.3.bits=4,8", "--max-bytes", "much"), "--max-bytes"),
        (("--vary", "steps.3.bits=4,8", "--max-latency", "0ms"), "--max-latency"),
        (("--vary", "steps.3.bits=4,8", "--max-drop", "200"), "--max-drop"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_makes_nothing(
    workspace: Workspace, recipe: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], field: str
) -> None:
    run("search", recipe, *words, "--json", code=2)
    assert [error["field"] for error in told(capsys)["errors"]] == [field]
    assert store.search_ids(workspace) == []


@pytest.mark.thorough
def test_a_bound_out_of_reach_ends_with_two_and_the_smallest_reachable(
    workspace: Workspace, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("search", recipe, "--vary", "steps.2.ratio=.2:.8", "--max-bytes", "9kB", code=2)
    assert "The smallest file is about 88.0 kB, with steps.2.ratio=0.8." in capsys.readouterr().err
    assert workspace.run_ids() == []


def test_an_unknown_search_is_refused(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run("searches", "nonsense", "--json", code=2)
    assert told(capsys)["errors"][0]["code"] == "unknown_search"
    run("searches")
    assert "No searches yet." in capsys.readouterr().out
