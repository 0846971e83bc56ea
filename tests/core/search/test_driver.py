"""Processes of a search may be killed at any moment: no trial is lost, none is done twice; refusals reach a person."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.catalog import load_catalog
from core.errors import UserError
from core.processes.searches import driver, ensure_driver, start_driver, stop_drivers, unattended
from core.processes.workers import alive, end, ensure_supervisor, read_identity, stop_supervisor, supervisor
from core.runs import Status
from core.search import store
from core.search.bounds import Bounds
from core.search.specification import Specification, search
from core.search.store import Search
from core.workspace import Workspace
from tests.core.search.planted import VARY, recipe

FAKE = (sys.executable, "-m", "tests.core.search.fake_worker")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.open_or_create(tmp_path / "w")
    ensure_supervisor(made, worker=FAKE)
    yield made
    stop_drivers(made)
    stop_supervisor(made)
    for run_id in made.run_ids():
        who = read_identity(made.run(run_id).worker)
        if who is not None:
            end(who, kill=True)


def asked(bounds: Bounds = Bounds(), vary: tuple[str, ...] = VARY, **more: object) -> Specification:  # noqa: B008
    return search(recipe(), vary, load_catalog(), bounds, **{"sampler": "random", **more})  # type: ignore[arg-type]


def until(condition: Callable[[], object], limit: float = 60.0) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit, "waited too long"
        time.sleep(0.02)


def finished(workspace: Workspace, made: Search) -> None:
    """Waits for its end, and for whoever was killed to be there again, as the supervisor and the driver see to it."""

    def over() -> bool:
        ensure_supervisor(workspace, worker=FAKE)
        if not made.progress().is_over and driver(made) is None:
            ensure_driver(workspace, made, FAKE)
        return made.progress().is_over

    until(over)


def prove_whole(workspace: Workspace, made: Search, trials: int) -> None:
    """As many trials as were asked for, each with a run of its own that was done once; and no other run."""
    now = made.progress()
    assert now.status == "finished", now.error
    assert [trial.number for trial in now.trials] == list(range(trials))
    assert len({tuple(trial.values.items()) for trial in now.trials}) == trials
    assert sorted(trial.run for trial in now.trials) == workspace.run_ids()
    for trial in now.trials:
        run = workspace.run(trial.run)
        events = [type(event).__name__ for event in run.read()[0]]
        assert events.count("RunFinished") + events.count("RunFailed") == 1
        assert run.notes().tags == (made.tag,)
        assert (trial.state == "finished") is (run.state().status is Status.FINISHED)


def kill(workspace: Workspace, made: Search, which: str, struck: set[str]) -> None:
    """Ends the driver, the supervisor or a worker with -9; no run's worker twice, or the run would be given up."""
    running = next((trial.run for trial in made.progress().trials if trial.state == "running"), "")
    if which == "worker" and (running in struck or not running):
        return
    struck.update({running} if which == "worker" else ())
    places = {"driver": made.driver, "supervisor": workspace.path / "supervisor.json"}
    who = read_identity(places.get(which, workspace.path / "runs" / running / "worker.json"))
    if alive(who):
        assert who is not None
        with suppress(ProcessLookupError):
            os.kill(who.pid, signal.SIGKILL)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kills", "trials", "slots"),
    [(4, 6, 1), (4, 8, 3), *(pytest.param(20, 40, slots, marks=pytest.mark.faults) for slots in (1, 3))],
    ids=["short", "several at once", "campaign", "campaign of several at once"],
)
def test_kill_9_of_driver_supervisor_and_workers_loses_and_doubles_nothing(
    workspace: Workspace, kills: int, trials: int, slots: int
) -> None:
    made = store.create(workspace, asked(trials=trials, slots=slots))
    dice, struck = random.Random(7), set[str]()
    for number in range(kills):
        ensure_supervisor(workspace, worker=FAKE)
        ensure_driver(workspace, made, FAKE)
        time.sleep(dice.uniform(0.05, 0.6))
        kill(workspace, made, ("driver", "worker", "driver", "supervisor")[number % 4], struck)
    finished(workspace, made)
    prove_whole(workspace, made, trials)


@pytest.mark.thorough
def test_the_supervisor_takes_up_a_search_whose_driver_died(workspace: Workspace) -> None:
    made = store.create(workspace, asked(trials=2))
    until(lambda: made.progress().is_over)  # nobody but the supervisor has begun it
    prove_whole(workspace, made, 2)


@pytest.mark.thorough
def test_two_searches_and_a_persons_run_take_turns(workspace: Workspace) -> None:
    """Each has one trial in the queue at a time, so neither waits for the other's end, nor a person for either."""
    both = [store.create(workspace, asked(trials=10, seed=seed)) for seed in (1, 2)]
    for made in both:
        start_driver(workspace, made, FAKE)
    until(lambda: all(made.progress().trials for made in both))
    mine = workspace.submit(recipe().to_toml(), "mine")
    until(lambda: all(made.progress().is_over for made in both))
    ended = {run_id: workspace.run(run_id).state().finished or 0.0 for run_id in workspace.run_ids()}
    order = sorted(ended, key=lambda run_id: ended[run_id])
    owners = [next((n for n, made in enumerate(both) if made.tag in workspace.run(r).notes().tags), 2) for r in order]
    assert [owners.count(owner) for owner in range(3)] == [10, 10, 1]
    assert order.index(mine.id) < len(order) - 1
    for one, other in ((0, 1), (1, 0)):
        places = [place for place, owner in enumerate(owners) if owner == one]
        assert places[0] < len(owners) - 1 - owners[::-1].index(other), "one waited for the end of the other"


@pytest.mark.thorough
def test_a_cancelled_search_stops_and_goes_on_where_it_was(workspace: Workspace) -> None:
    made = store.create(workspace, asked(trials=4))
    ensure_driver(workspace, made, FAKE)
    until(lambda: any(trial.state != "running" for trial in made.progress().trials))
    made.cancel()
    until(lambda: made.progress().is_over and driver(made) is None)
    assert made.progress().status == "cancelled"
    assert not workspace.queued()
    assert not list(unattended(workspace, resting=True))
    made.take_up()
    finished(workspace, made)
    now = made.progress()
    assert len(now.trials) == len(workspace.run_ids()) == 4
    with pytest.raises(UserError, match="not done"):
        made.take_up()


@pytest.mark.thorough
def test_a_search_rests_while_the_workspace_is_stopped(workspace: Workspace) -> None:
    made = store.create(workspace, asked(trials=4))
    ensure_driver(workspace, made, FAKE)
    until(lambda: any(trial.state != "running" for trial in made.progress().trials))
    assert stop_drivers(workspace) == 1
    assert made.progress().status == "resting"
    assert list(unattended(workspace, resting=False)) == []
    assert [one.id for one in unattended(workspace, resting=True)] == [made.id]
    stop_supervisor(workspace)
    ensure_supervisor(workspace, worker=FAKE)
    until(lambda: made.progress().is_over)
    prove_whole(workspace, made, 4)


@pytest.mark.thorough
def test_a_bound_that_nothing_can_meet_is_refused_before_anything_is_run(workspace: Workspace) -> None:
    """The smallest planted file has 2 bits and a ratio of 0.9: 400,000 · 0.1 · 2/8 + 8,000 = 18,000 bytes."""
    made = store.create(workspace, asked(Bounds(bytes=10_000)))
    ensure_driver(workspace, made, FAKE)
    until(lambda: made.progress().is_over)
    now = made.progress()
    assert now.status == "refused"
    assert now.error is not None
    assert "18.0 kB" in now.error["fix"]
    assert "steps.2.ratio=0.9" in now.error["fix"]
    assert "steps.3.bits=2" in now.error["fix"]
    assert workspace.run_ids() == []
    assert workspace.job_ids() == []


@pytest.mark.thorough
def test_minutes_that_are_too_few_for_one_trial_are_refused(workspace: Workspace) -> None:
    made = store.create(workspace, asked(minutes=0.1))
    ensure_driver(workspace, made, FAKE)
    until(lambda: made.progress().is_over)
    now = made.progress()
    assert now.status == "refused"
    assert now.error is not None
    assert now.error["field"] == "--minutes"


@pytest.mark.thorough
def test_a_deleted_run_is_a_failed_trial_and_a_damaged_journal_is_named(workspace: Workspace) -> None:
    made = store.create(workspace, asked(trials=3))
    ensure_driver(workspace, made, FAKE)
    until(lambda: made.progress().is_over and driver(made) is None)
    made.journal.write_bytes(b"\x00garbage\n" + made.journal.read_bytes())
    made.write(made.progress().model_copy(update={"status": "resting"}))
    ensure_driver(workspace, made, FAKE)
    until(lambda: made.progress().is_over)
    now = made.progress()
    assert now.status == "failed"
    assert now.error is not None
    assert now.error["code"] == "damaged_search"
    assert len(now.trials) == 3
    assert supervisor(workspace) is not None
