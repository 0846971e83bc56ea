"""Two Ray nodes on loopback: runs are spread, carried home byte for byte, cancelled, and outlive a node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest

from core.cluster.guest import FOLDER
from core.cluster.nodes import place_of, read_seen
from core.cluster.probe import probe
from core.cluster.setting import set_cluster
from core.errors import UserError
from core.events import Progress
from core.files import remove_tree
from core.processes.cluster import ClusterExecutor
from core.processes.supervisor import Supervisor
from core.processes.workers import WORKER, Worker, end, read_identity
from core.runs import Run, Status
from core.workspace import Workspace
from tests.core.cluster.ray_node import LOOPBACK
from tests.core.conftest import PRUNED, TRAINED, finished_run
from tests.core.processes.test_workers import FAKE, recipe

MANY = int(os.environ.get("CONDENSER_MANY", "500"))  # tiny runs
NODE = Path(__file__).with_name("ray_node.py")
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install -e '.[cluster]'")


@dataclass
class Cluster:
    """The nodes' processes, by their order: the first is the head."""

    address: str = ""
    nodes: list[subprocess.Popen[str]] = field(default_factory=list)
    raylets: list[int] = field(default_factory=list)

    def start(self, folder: Path, name: str, cores: int = 2) -> None:
        environment = {**os.environ, **LOOPBACK, FOLDER: str(folder / name)}
        words = [sys.executable, str(NODE), str(cores), str(folder / "ray"), *([self.address] if self.address else [])]
        node = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.nodes.append(node)
        assert node.stdout is not None
        address, raylet = node.stdout.readline().split()
        self.address = self.address or address
        self.raylets.append(int(raylet))

    def end(self) -> None:
        for node in reversed(self.nodes):
            node.terminate()
        for node in self.nodes:
            try:
                node.wait(20)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()
            assert node.stdout is not None
            node.stdout.close()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for name, value in LOOPBACK.items():
        monkeypatch.setenv(name, value)
    folder = Path("/tmp") / f"cn-{os.getpid()}-{time.time_ns() % 10**6}"  # short: sockets' paths have a limit
    folder.mkdir()
    found = Cluster()
    try:
        found.start(folder, "one")
        found.start(folder, "two")
        yield found
    finally:
        found.end()
        remove_tree(folder)


@pytest.fixture
def home(tmp_path: Path, cluster: Cluster) -> Workspace:
    workspace = Workspace.open_or_create(tmp_path / "home")
    set_cluster(workspace, cluster.address)
    return workspace


Keeper = Callable[[tuple[str, ...]], Supervisor]


@pytest.fixture
def keep(home: Workspace) -> Iterator[Keeper]:
    kept: list[Supervisor] = []

    def begin(command: tuple[str, ...]) -> Supervisor:
        kept.append(Supervisor(home, command))
        return kept[0]

    yield begin
    for keeper in kept:
        for run_id in home.run_ids():
            if (who := read_identity(home.run(run_id).worker)) is not None:
                end(who, kill=True)
        keeper.close()
        for worker in [*keeper.children, *_carriers(keeper)]:
            end(worker.who, kill=True)
            worker.dismiss()
            worker.process.wait()


def _carriers(keeper: Supervisor) -> list[Worker]:
    return keeper.executor.spare.children if isinstance(keeper.executor, ClusterExecutor) else []


def turn_until(keeper: Supervisor, condition: Callable[[], object], limit: float = 120.0) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit, "waited too long"
        keeper.turn()
        time.sleep(0.05)
    return time.monotonic() - begun


def over(runs: list[Run]) -> Callable[[], bool]:
    return lambda: all(run.state().status.is_over for run in runs)


def test_two_runs_go_to_two_nodes(home: Workspace, keep: Keeper, cluster: Cluster) -> None:
    keeper = keep(FAKE)
    runs = [home.submit(recipe("slow", 40, 100)) for _ in range(2)]
    turn_until(keeper, over(runs))
    assert [run.state().status for run in runs] == [Status.FINISHED] * 2
    assert len({run.state().environment["node"] for run in runs}) == 2
    assert all((run.checkpoints / "epoch").read_bytes() == b"40" for run in runs)
    first, second = (run.state() for run in runs)
    assert (second.started or 0.0) < (first.finished or 0.0), "at once"


@pytest.mark.slow
def test_six_runs_outlive_a_node(home: Workspace, keep: Keeper, cluster: Cluster) -> None:
    keeper = keep(FAKE)
    runs = [home.submit(recipe("slow", 60, 100)) for _ in range(6)]
    turn_until(keeper, lambda: len({place_of(run).node for run in runs if run.state().started}) == 2)
    doomed = {node.id for node in read_seen(home, cluster.address).usable}
    turn_until(keeper, lambda: any((run.checkpoints / "epoch").exists() for run in runs))
    os.kill(cluster.raylets[1], signal.SIGKILL)
    turn_until(keeper, over(runs), 200.0)
    assert [run.state().status for run in runs] == [Status.FINISHED] * 6
    assert len(doomed) == 2
    assert len(read_seen(home, cluster.address).usable) == 1
    assert any("RunInterrupted" in [type(event).__name__ for event in run.read()[0]] for run in runs)
    for run in runs:
        epochs = [event.epoch for event in run.read()[0] if isinstance(event, Progress)]
        assert sorted(set(epochs)) == list(range(60)), "nothing was left out"


@pytest.mark.slow
def test_what_comes_home_is_what_this_machine_makes(home: Workspace, keep: Keeper, tmp_path: Path) -> None:
    keeper = keep(WORKER)
    run = home.submit(TRAINED + PRUNED)
    took = turn_until(keeper, over([run]), 280.0)
    assert run.state().status is Status.FINISHED, run.state().error
    local = finished_run(Workspace.open_or_create(tmp_path / "local"), TRAINED + PRUNED)
    mine, theirs = _models(local), _models(run)
    assert len(mine) >= 3
    assert mine == theirs, "byte for byte"
    assert [p.accuracy for p in local.state().points] == [p.accuracy for p in run.state().points]
    worked, _ = run.state().durations()
    print(f"carried: {took:.1f} s in all, {worked:.1f} s of it at work; here: {local.state().durations()[0]:.1f} s")


def _models(run: Run) -> dict[str, str]:
    """The saved models and what they answered, without timings, by their places."""
    found = (path for path in run.artifacts.rglob("*") if path.is_file() and path.name != "timings.npz")
    kept = [path for path in found if path.suffix in (".onnx", ".safetensors", ".pt2")]
    return {str(path.relative_to(run.artifacts)): sha256(path.read_bytes()).hexdigest() for path in kept}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["slow", "deaf"])
def test_a_cancel_takes_three_seconds_at_most(home: Workspace, keep: Keeper, mode: str) -> None:
    keeper = keep(FAKE)
    run = home.submit(recipe(mode, 1000, 50))
    turn_until(keeper, lambda: run.state().status is Status.RUNNING)
    time.sleep(0.5)
    home.cancel(run.id)
    took = turn_until(keeper, over([run]))
    assert run.state().status is Status.CANCELLED
    print(f"cancelled after {took:.2f} s")
    assert took <= (3.0 if mode == "slow" else 4.5), "a deaf one is killed after 2 + 1 seconds"


@pytest.mark.slow
def test_a_supervisor_that_dies_loses_no_run(home: Workspace, keep: Keeper) -> None:
    first = keep(FAKE)
    run = home.submit(recipe("slow", 80, 100))
    turn_until(first, lambda: (run.checkpoints / "epoch").exists())
    first.close()
    second = keep(FAKE)
    turn_until(second, over([run]))
    assert run.state().status is Status.FINISHED
    assert [type(event).__name__ for event in run.read()[0]].count("RunStarted") == 1, "it was carried on meanwhile"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_tiny_runs_are_each_done_once(home: Workspace, keep: Keeper) -> None:
    keeper = keep(FAKE)
    runs = [home.submit(recipe(epochs=1)) for _ in range(MANY)]
    took = turn_until(keeper, over(runs), 3500.0)
    print(f"{MANY} tiny runs: {took / MANY:.2f} s each")
    assert {run.state().status for run in runs} == {Status.FINISHED}
    assert home.queued() == []
    for run in runs:
        assert [type(event).__name__ for event in run.read()[0]].count("RunStarted") == 1


def test_a_cluster_that_does_not_answer_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace.open_or_create(tmp_path / "w")
    begun = time.monotonic()
    with pytest.raises(UserError) as told:
        probe(workspace, "127.0.0.1:1")
    assert told.value.code == "cluster_silent"
    assert "127.0.0.1:1 does not answer" in str(told.value)
    assert "--cluster off" in str(told.value)
    assert time.monotonic() - begun < 60
