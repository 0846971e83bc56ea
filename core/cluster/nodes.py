"""The nodes of a cluster: what each has, why one is refused, and which one a run goes to.

A waiting carrier writes what it sees to a file in the workspace; everybody else reads that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from core.errors import UserError
from core.files import remove_file, write_atomic
from core.processes.slots import Need
from core.processes.workers import serving
from core.runs import Run
from core.storage.sealed import read_sealed, seal
from core.text.formatting import size
from core.workspace import Workspace

FILE = "supervisor-nodes.json"  # in the workspace
PLACE = "node.json"  # in a run's folder: the node it was given to, and those that refused it


@dataclass(frozen=True)
class Node:
    """A node: `id` is Ray's, `cores` and `gpus` are what it lends, `refused` says why it gets no runs."""

    id: str
    name: str
    cores: int
    gpus: int
    processor: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Seen:
    """What was seen of the cluster at `address`, and when (seconds since 1970); `silent` says why nothing was."""

    address: str = ""
    time: float = 0.0
    nodes: tuple[Node, ...] = ()
    silent: str = ""

    @property
    def usable(self) -> tuple[Node, ...]:
        """The nodes that may have runs."""
        return tuple(node for node in self.nodes if not node.refused and node.cores > 0)


@dataclass(frozen=True)
class Place:
    """Where a run is: a node, and the nodes that refused the run, each with its reason."""

    node: str = ""
    name: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)


def write_seen(workspace: Workspace, address: str, nodes: Sequence[Node], silent: str = "") -> None:
    """Keeps what was seen of the cluster."""
    told = {"address": address, "time": time.time(), "nodes": [asdict(node) for node in nodes], "silent": silent}
    write_atomic(serving(workspace).path / FILE, seal(json.dumps(told).encode()))


def read_seen(workspace: Workspace, address: str) -> Seen:
    """What was seen of the cluster at `address`; nothing if the file is missing, damaged, or about another one."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(read_sealed(serving(workspace).path / FILE))
        if told["address"] == address:
            nodes = tuple(Node(**node) for node in told["nodes"])
            return Seen(address, float(told["time"]), nodes, str(told["silent"]))
    return Seen(address)


def forget_seen(workspace: Workspace) -> None:
    """Has every node asked again what is installed there."""
    remove_file(serving(workspace).path / FILE)


def place_of(run: Run) -> Place:
    """The node that a run was given to; an empty one if it was given to none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(read_sealed(run.folder / PLACE))
        return Place(str(told["node"]), str(told["name"]), dict(told["refused"]))
    return Place()


def put_place(run: Run, place: Place) -> None:
    """Records the node in the run's folder."""
    write_atomic(run.folder / PLACE, seal(json.dumps(asdict(place)).encode()))


def choose(need: Need, nodes: Iterable[Node], taken: Sequence[tuple[str, Need]]) -> Node | None:
    """The node with the most free cores on which the run has room beside `taken`, the runs at work by their node; None
    while there is none.

    A run that asks for more than any node has gets an idle node to itself: it then says what it lacks.
    """
    there = list(nodes)
    able = [node for node in there if _holds(node, need)]
    free = {node.id: node.cores - sum(each.cores for at, each in taken if at == node.id) for node in there}
    busy = {at for at, _ in taken}
    if not able:
        idle = [node for node in there if node.id not in busy]
        return max(idle, key=lambda node: node.cores, default=None)
    cards = {node.id: node.gpus - sum(each.gpu for at, each in taken if at == node.id) for node in able}
    room = [node for node in able if free[node.id] >= need.cores and cards[node.id] >= int(need.gpu)]
    return max(room, key=lambda node: free[node.id], default=None)


def _holds(node: Node, need: Need) -> bool:
    return node.cores >= need.cores and node.gpus >= int(need.gpu)


def no_room_for(name: str, free: int, needed: int) -> str:
    """The sentence of a node that lacks disk space."""
    return f"{name} has {size(free)} free, and what the run reads takes {size(needed)}"


def refused_by_all(reasons: Iterable[str]) -> UserError:
    """The error of a run that no node can have."""
    told = "; ".join(sorted(set(reasons)))
    fix = "Nothing of the run is lost: free some space there, or `condenser dashboard --cluster off`; then resume."
    return UserError(
        "node_disk", "cluster", "No node of the cluster has the disk space for this run.", "", f"{told}. {fix}"
    )
