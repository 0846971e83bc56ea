"""The address of a cluster, and the file that says what was seen of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.cluster.nodes import FILE, Node, Place, forget_seen, place_of, put_place, read_seen, write_seen
from core.cluster.probe import described, probe
from core.cluster.setting import cluster_of, set_cluster
from core.errors import UserError
from core.events import RunStarted
from core.processes.cluster import ClusterExecutor
from core.processes.run_monitor import NODE_LOST, NODE_REFUSED, Timeouts, death
from core.workspace import Workspace
from tests.core.processes.test_workers import FAKE, recipe


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "w")


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:6379", "node-1.example.org:6379", "[::1]:6379"])
def test_an_address_is_kept_until_it_is_put_off(workspace: Workspace, address: str) -> None:
    assert cluster_of(workspace) == ""
    set_cluster(workspace, address)
    assert cluster_of(workspace) == address
    set_cluster(workspace, "off")
    assert cluster_of(workspace) == ""


@pytest.mark.parametrize(
    "address", ["", "host", "host:", "host:0", "host:99999", "ray://h:1", "a b:1", "h;x:1", "-x:1"]
)
def test_any_other_text_is_refused_and_changes_nothing(workspace: Workspace, address: str) -> None:
    set_cluster(workspace, "auto")
    with pytest.raises(UserError) as told:
        set_cluster(workspace, address)
    assert told.value.code == "bad_cluster"
    assert cluster_of(workspace) == "auto"


def test_what_was_seen_is_of_one_cluster(workspace: Workspace) -> None:
    nodes = [Node("a", "a", 2, 0), Node("b", "b", 4, 1, refused="torch 1 there, 2 here"), Node("c", "c", 0, 0)]
    write_seen(workspace, "x:1", nodes)
    assert read_seen(workspace, "x:1").nodes == tuple(nodes)
    assert read_seen(workspace, "x:1").usable == (nodes[0],)
    assert read_seen(workspace, "y:1").nodes == ()
    (workspace.path / FILE).write_bytes(b'{"seal":"0"}')
    assert read_seen(workspace, "x:1").nodes == ()
    told = described(tuple(nodes), "x:1")
    assert told == ["Runs go to the cluster at x:1: 1 nodes, 2 cores, 0 GPUs.", "No runs for b: torch 1 there, 2 here."]


def test_a_run_that_every_node_refused_is_refused(workspace: Workspace) -> None:
    executor = ClusterExecutor(workspace, "x:1", FAKE, Timeouts())
    run = workspace.create_run(recipe())
    assert executor.refusal(run) is None, "no node is known yet: it waits"
    assert not executor.has_room(run, [])
    write_seen(workspace, "x:1", [Node("a", "a", 2, 0), Node("b", "b", 2, 0)])
    assert executor.has_room(run, [])
    put_place(run, Place("a", "a", {"a": "a has 1 MB free"}))
    assert executor.refusal(run) is None, "b was not tried"
    put_place(run, Place("b", "b", {"a": "a has 1 MB free", "b": "b has 2 MB free"}))
    told = executor.refusal(run)
    assert told is not None
    assert "a has 1 MB free; b has 2 MB free" in str(told)
    run.requeue()
    assert place_of(run) == Place(), "a person who resumes it has all nodes tried again"
    forget_seen(workspace)
    assert read_seen(workspace, "x:1").nodes == ()


def test_trials_of_a_search_go_to_one_kind_of_processor(workspace: Workspace) -> None:
    executor = ClusterExecutor(workspace, "x:1", FAKE, Timeouts())
    fast, slow, other = Node("f", "f", 8, 0, "Fast"), Node("s", "s", 2, 0, "Slow"), Node("t", "t", 1, 0, "Slow")
    write_seen(workspace, "x:1", [fast, slow, other])
    first = workspace.create_run(recipe(), tags=("search 00000a",))
    first.emit(RunStarted(1, {"processor": "Slow"}))
    put_place(first, Place("s", "s"))
    trial, single = workspace.create_run(recipe(), tags=("search 00000a",)), workspace.create_run(recipe())
    assert executor._node(trial, []) == slow
    assert executor._node(trial, [first]) is not None, "as many nodes of that kind as there are"
    assert executor._node(single, []) == fast


def test_a_lost_node_is_named_in_the_cause() -> None:
    log = "Traceback of something\n\nThe node vm (abc) was lost: the run goes on from its last checkpoint."
    found = death(NODE_LOST, log)
    assert found.code == "node_lost"
    assert found.cause.startswith("The node vm (abc) was lost")
    assert death(NODE_REFUSED, "vm has 1 MB free", strike=False).code == "node_refused"


def test_without_ray_the_way_to_it_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.cluster.probe.find_spec", lambda name: None)
    with pytest.raises(UserError) as told:
        probe(workspace, "auto")
    assert told.value.code == "no_ray"
    assert "condenser[cluster]" in told.value.fix
