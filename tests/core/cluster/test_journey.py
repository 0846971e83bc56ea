"""A run's way to a node and back, without Ray: the guest is in this process, its worker is the fake one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from core.cluster.cargo import cargo, place_for
from core.cluster.facts import facts, unlike
from core.cluster.guest import FOLDER, File, Guest, Lack, News
from core.cluster.journey import Journey
from core.cluster.mirror import Mirror
from core.cluster.nodes import Node, choose, place_of
from core.errors import UserError
from core.events import Measured, Progress, RunFinished, RunStarted, StepStarted
from core.files import write_atomic
from core.processes.run_monitor import NODE_REFUSED
from core.processes.slots import Need
from core.runs import Run, Status
from core.workspace import Workspace
from tests.core.processes.test_workers import FAKE, recipe

STEP = 'backbone = "resnet8"\n[[steps]]\nstage = "transfer"\nmethod = "linear_probe"\n'
NODE = Node("a" * 56, "node (aaaaaa)", 2, 0, "Slow CPU")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(FOLDER, str(tmp_path / "node"))
    return Workspace.open_or_create(tmp_path / "home")


@pytest.fixture
def visit(home: Workspace) -> Iterator[Callable[[Run], Journey]]:
    """Journeys of runs to a guest in this process, which ends with the test."""
    guests: list[Guest] = []

    def begin(run: Run) -> Journey:
        guest = Guest("key", run.id, FAKE)
        guests.append(guest)
        return Journey(run, NODE, lambda name, *arguments: getattr(guest, name)(*arguments))

    yield begin
    for guest in guests:
        guest.leave()
        if guest.worker is not None:
            guest.worker.process.wait()


def never() -> bool:
    return False


def test_a_run_comes_home_whole_and_leaves_no_trace(home: Workspace, visit: Callable[[Run], Journey]) -> None:
    run = home.create_run(recipe())
    assert visit(run).make(never) == 0
    state = run.state()
    assert state.status is Status.FINISHED
    assert [event.seq for event in run.read()[0]] == list(range(state.seq + 1)), "numbered in this log"
    assert (run.checkpoints / "epoch").read_bytes() == b"3"
    assert state.environment["node"] == NODE.name
    assert state.environment["processor"] == NODE.processor
    assert "measured_on" not in state.points[0].receipt, "the run's environment is that of all points"
    assert run.result.exists()
    assert not list((home.path.parent / "node").rglob("events.jsonl"))


def test_it_goes_on_from_the_checkpoint_that_came_home(home: Workspace, visit: Callable[[Run], Journey]) -> None:
    run = home.create_run(recipe("once", 4, 5))
    write_atomic(run.checkpoints / "epoch", b"2")
    assert visit(run).make(never) == 1, "the exit code of the worker there"
    assert visit(run).make(never) == 0
    done = [event.epoch for event in run.read()[0] if isinstance(event, Progress)]
    assert done == [2, 2, 3]
    assert run.state().status is Status.FINISHED


def test_a_cancel_reaches_the_node(home: Workspace, visit: Callable[[Run], Journey]) -> None:
    run = home.create_run(recipe("slow", 1000, 20))
    journey = visit(run)
    call = journey.call

    def cancel_later(name: str, *arguments: object) -> Any:
        if name == "news" and run.state().status is Status.RUNNING:
            write_atomic(run.folder / "cancel", b"")
        return call(name, *arguments)

    journey.call = cancel_later
    begun = time.monotonic()
    assert journey.make(never) == 0
    assert run.state().status is Status.CANCELLED
    assert time.monotonic() - begun < 20


@pytest.mark.thorough
def test_a_dataset_travels_once(home: Workspace, visit: Callable[[Run], Journey]) -> None:
    folder = home.datasets / "finish"  # the dataset of the fake recipe
    (folder / "files").mkdir(parents=True)
    (folder / "archives").mkdir()
    (folder / "files" / "image").write_bytes(b"x" * 1000)
    (folder / "archives" / "all.zip").write_bytes(b"x" * 5000)
    sent: list[str] = []

    def counting(journey: Journey) -> Journey:
        call = journey.call

        def count(name: str, *arguments: Any) -> Any:
            if name == "receive":
                sent.append(arguments[0].path)
            return call(name, *arguments)

        journey.call = count
        return journey

    for _ in range(2):
        assert counting(visit(home.create_run(recipe() + STEP))).make(never) == 0
    assert sent.count("datasets/finish/files/image") == 1
    assert not [path for path in sent if "archives" in path], "a node needs what was unpacked"
    (folder / "files" / "image").write_bytes(b"y" * 1000)
    assert counting(visit(home.create_run(recipe() + STEP))).make(never) == 0
    assert sent.count("datasets/finish/files/image") == 2, "its content changed"


def test_a_full_node_refuses_and_says_how_full(
    home: Workspace, visit: Callable[[Run], Journey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guest, "lacks", lambda self, items: Lack(tuple(items), 7 * 10**9, 10**6))
    run = home.create_run(recipe())
    assert visit(run).make(never) == NODE_REFUSED
    told = place_of(run).refused[NODE.id]
    assert "1.00 MB free" in told
    assert "7.00 GB" in told
    assert "node (aaaaaa)" in told
    assert run.state().status is Status.QUEUED, "nothing of it was lost"


def test_a_guest_measures_its_disk(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = home.create_run(recipe())
    guest = Guest("key", run.id, FAKE)
    guest.folder.mkdir(parents=True)
    free = type("Usage", (), {"free": 600 * 10**6})()
    monkeypatch.setattr("core.cluster.guest.shutil.disk_usage", lambda path: free)
    lack = guest.lacks(cargo(run))
    assert lack is not None
    assert lack.fits, "500 MB stay for what the run writes"
    free.free = 500 * 10**6
    again = guest.lacks(cargo(run))
    assert again is not None
    assert not again.fits
    guest.leave()


def test_of_two_guests_one_brings_at_a_time(home: Workspace) -> None:
    run = home.create_run(recipe())
    first, second = Guest("key", run.id, FAKE), Guest("key", run.id, FAKE)
    first.folder.mkdir(parents=True)
    assert first.lacks([]) is not None
    assert second.lacks([]) is None, "wait: what it needs may be on its way"
    first.leave()
    assert second.lacks([]) is not None
    second.leave()


@pytest.mark.parametrize("hours", [-1.0, 1.0])
def test_a_clock_an_hour_off_leaves_order_and_durations(
    home: Workspace, hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    with monkeypatch.context() as earlier:
        earlier.setattr(time, "time", lambda: now - 60)
        run = home.create_run(recipe())
    there = time.time() + hours * 3600
    events = [
        RunStarted(1, {}, seq=1, time=there - 10),
        StepStarted(0, "transfer", "linear_probe", "probe", 3, seq=2, time=there - 8),
        RunFinished(seq=3, time=there - 1),
    ]
    lines = b"".join(event.to_line().encode() + b"\n" for event in events)
    Mirror(run, NODE, lambda file, offset: None, 0).apply(News(there, lines, b"", (), False, 0))
    told = run.read()[0]
    times = [event.time for event in told]
    assert times == sorted(times)
    assert times[1] == pytest.approx(now - 10, abs=1.0), "as this machine's clock has it"
    assert [times[2] - times[1], times[3] - times[2]] == pytest.approx([2.0, 7.0], abs=0.01)
    assert not run.state().clock_moved


def test_no_event_lies_in_the_future_or_before_the_last(home: Workspace) -> None:
    run = home.create_run(recipe())
    queued = run.state().queued or 0.0
    clock = time.time()
    events = [RunStarted(1, {}, seq=1, time=clock - 500), RunFinished(seq=2, time=clock + 500)]
    lines = b"".join(event.to_line().encode() + b"\n" for event in events)
    Mirror(run, NODE, lambda file, offset: None, 0).apply(News(clock, lines, b"", (), False, 0))
    times = [event.time for event in run.read()[0]]
    assert times[1] == queued
    assert queued <= times[2] <= time.time()


def test_damaged_lines_are_counted_and_told(home: Workspace) -> None:
    run = home.create_run(recipe())
    good = RunStarted(1, {}, seq=1, time=time.time()).to_line().encode()
    Mirror(run, NODE, lambda file, offset: None, 0).apply(News(time.time(), b"broken\n" + good + b"\n", b"", (), True))
    assert [type(event).__name__ for event in run.read()[0]] == ["RunQueued", "RunStarted", "Warned"]
    assert "1 of its lines" in run.state().warnings[0].message


def test_a_file_that_changes_on_its_way_is_not_taken(home: Workspace) -> None:
    run = home.create_run(recipe())
    file = File("artifacts/model", 4, sha256(b"good").hexdigest(), (1, 4, 1))
    pieces: list[bytes | None] = [b"go", None, b"goxx", b"good"]
    mirror = Mirror(run, NODE, lambda asked, offset: pieces.pop(0), 0)
    news = News(time.time(), b"", b"", (file,), True)
    for _ in range(2):  # replaced after its first half; altered
        mirror.apply(news)
        assert not mirror.is_whole(news)
        assert list(run.artifacts.iterdir()) == [], "nothing half of it"
    mirror.apply(news)
    assert mirror.is_whole(news)
    gone = News(time.time(), b"", b"", (), True)
    mirror.apply(gone)
    assert (run.artifacts / "model").exists(), "an event that explains it may still come"
    mirror.apply(gone)
    assert not (run.artifacts / "model").exists()


def test_a_file_is_there_before_the_event_that_tells_of_it(home: Workspace, visit: Callable[[Run], Journey]) -> None:
    run = home.create_run(recipe("slow", 4, 60))
    seen: list[bool] = []
    receive = run.receive

    def look(events: Any, times: Any) -> None:
        if any(isinstance(event, Measured) for event in events):
            seen.append((run.checkpoints / "epoch").read_bytes() == b"4")
        receive(events, times)

    run.receive = look  # type: ignore[method-assign]
    assert visit(run).make(never) == 0
    assert seen == [True]


@pytest.mark.parametrize("name", ["../x", "events.jsonl", "cancel", "artifacts/.hidden", "/etc/passwd"])
def test_a_node_may_write_results_only(home: Workspace, name: str) -> None:
    run = home.create_run(recipe())
    with pytest.raises(UserError):
        place_for(run.folder, name)


def test_other_versions_are_refused_and_named() -> None:
    here = facts()
    assert unlike(here, here) == ""
    old = replace(here, versions={**here.versions, "torch": "1.0"})
    assert unlike(old, here) == f"torch 1.0 there, {here.versions['torch']} here"
    assert "missing there" in unlike(replace(here, versions={**here.versions, "condenser": ""}), here)
    assert "other files" in unlike(replace(here, code="0"), here)


def test_a_run_goes_where_it_has_room() -> None:
    small, large, card = Node("s", "s", 2, 0), Node("l", "l", 8, 0), Node("g", "g", 4, 1)
    nodes = [small, large, card]
    assert choose(Need(1), nodes, []) is large, "the most free cores"
    assert choose(Need(1), nodes, [("l", Need(7))]) is card
    assert choose(Need(1, gpu=True), nodes, []) is card
    assert choose(Need(1, gpu=True), nodes, [("g", Need(1, gpu=True))]) is None, "it waits for the GPU"
    assert choose(Need(6), nodes, [("l", Need(4))]) is None, "it waits for the only node that is large enough"
    assert choose(Need(64), nodes, []) is large, "more than there is: a node of its own"
    assert choose(Need(64), [small], [("s", Need(1))]) is None
    assert choose(Need(1), [], []) is None
