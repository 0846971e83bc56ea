"""The process that takes a run to a node of a Ray cluster and mirrors it home.

`python -m core.cluster.carrier WORKSPACE ADDRESS [WORKER COMMAND …]` prints `ready` once it is connected, keeps the
list of nodes up to date, and waits on its stdin for one order, like a worker: {"run": folder}. The run's output is its
output, its exit code is that of the worker on the node. With `--look` it prints the nodes and ends.
"""

from __future__ import annotations

import json
import os
import platform
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import FrameType

import ray
from ray.exceptions import ActorDiedError, ActorUnschedulableError, RayTaskError

from core.cluster.contact import call, connect, look, on
from core.cluster.guest import Guest
from core.cluster.journey import Journey
from core.cluster.nodes import Node, Place, place_of, read_seen, write_seen
from core.errors import UserError
from core.files import FULL
from core.processes.run_monitor import DISK_FULL_EXIT, NODE_LOST, NODE_REFUSED
from core.processes.slots import need_of
from core.processes.workers import WORKER
from core.runs import Run
from core.workspace import Workspace

LOOK = 2.0  # seconds between two looks at the nodes
SILENT = 69  # exit code where the cluster does not answer


class Carrier:
    """Takes one run to a node of the cluster at `address`; `command` is that of workers there."""

    def __init__(self, workspace: Workspace, address: str, command: Sequence[str]) -> None:
        self.workspace = workspace
        self.address = address
        self.command = tuple(command)
        seen = read_seen(workspace, address).nodes  # by the carrier before: nobody is asked twice
        self._known: dict[str, Node] = {node.id: node for node in seen if not node.refused}
        self._asked: list[int] = []

    def wait(self) -> Run | None:
        """Keeps the list of nodes up to date until there is an order; None if there will be none."""
        write_seen(self.workspace, self.address, look(self._known))
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], LOOK)[0]:
            write_seen(self.workspace, self.address, look(self._known))
        line = sys.stdin.readline()
        return Run(Path(json.loads(line)["run"])) if line else None

    def carry(self, run: Run) -> int:
        """Has the run done on the node that its folder names; returns the exit code of its worker there."""
        place = place_of(run)
        lent: dict[str, float] = next(
            (found["Resources"] for found in ray.nodes() if found["NodeID"] == place.node), {}
        )
        need = need_of(run, int(lent.get("GPU", 0)))
        cores, cards = min(need.cores, int(lent.get("CPU", 0))), int(need.gpu and lent.get("GPU", 0) >= 1)
        key = sha256(f"{platform.node()}:{run.folder.parent.parent}".encode()).hexdigest()[:16]
        settings = {"num_cpus": cores, "num_gpus": cards, "max_restarts": 0, "scheduling_strategy": on(place.node)}
        guest = ray.remote(Guest).options(**settings).remote(key, run.id, self.command)
        node = self._known.get(place.node) or Node(place.node, place.name, cores, cards)
        signal.signal(signal.SIGTERM, self._end_in_order)
        journey = Journey(run, node, partial(call, guest))
        try:
            return journey.make(lambda: bool(self._asked))
        except RayTaskError as error:  # a fault there, whose disk is not this one's
            if isinstance(error.cause, OSError) and error.cause.errno in FULL:
                journey.refuse(f"the disk of {node.name} is full")
                return NODE_REFUSED
            print(f"\nOn {node.name}: {error}", flush=True)
            return 1
        except (ActorDiedError, ActorUnschedulableError):
            return self._lost(place)

    def _end_in_order(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM lets the run end after its batch and come home; a second one ends this process at once."""
        self._asked.append(signum)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _lost(self, place: Place) -> int:
        """Says what was lost, and has no run given to a dead node meanwhile."""
        alive = any(found["NodeID"] == place.node and found["Alive"] for found in ray.nodes())
        if not alive:
            seen = read_seen(self.workspace, self.address)
            write_seen(self.workspace, self.address, [node for node in seen.nodes if node.id != place.node])
        what = f"The run's process on {place.name} was ended" if alive else f"The node {place.name} was lost"
        print(f"\n{what}: the run goes on from its last checkpoint that came home.", flush=True)
        return NODE_LOST


def main(arguments: list[str]) -> None:
    """Serves one order; exits as the worker on the node did."""
    looking = "--look" in arguments
    words = [word for word in arguments if word != "--look"]
    workspace, address = Workspace.named(Path(words[0])), words[1]
    try:
        connect(address)
    except UserError as error:
        if not looking:
            write_seen(workspace, address, (), str(error))
        print(json.dumps(error.to_json()) if looking else str(error), flush=True)
        sys.exit(SILENT)
    if looking:
        print(json.dumps([asdict(node) for node in look({})]), flush=True)
        return
    carrier = Carrier(workspace, address, words[2:] or WORKER)
    run = carrier.wait()
    if run is not None:
        _end_as(_carried(carrier, run))


def _carried(carrier: Carrier, run: Run) -> int:
    try:
        return carrier.carry(run)
    except OSError as error:
        if error.errno in FULL:  # here: the supervisor pauses the run
            return DISK_FULL_EXIT
        raise


def _end_as(code: int) -> None:
    """Exits with the code, or dies of the signal, that ended the worker on the node."""
    with suppress(Exception):
        ray.shutdown()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
