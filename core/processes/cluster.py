"""Runs on the nodes of a cluster: each gets a process here that carries it to a node with the cores or the GPU it
takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from core.cluster.nodes import Node, choose, forget_seen, place_of, put_place, read_seen, refused_by_all
from core.errors import UserError
from core.processes.identity import Identity
from core.processes.run_monitor import Timeouts
from core.processes.slots import Need, need_of
from core.processes.spare import Spare
from core.processes.workers import Worker
from core.runs import Run
from core.workspace import TRIAL, Workspace

CARRIER = (sys.executable, "-m", "core.cluster.carrier")


class ClusterExecutor:
    """Gives runs to a waiting carrier, for the cluster at `address`; see `Executor`."""

    def __init__(self, workspace: Workspace, address: str, worker: tuple[str, ...], timeouts: Timeouts) -> None:
        self.workspace = workspace
        self.address = address
        command = (*CARRIER, str(workspace.path), address, *worker)
        self.spare = Spare(workspace, command, timeouts, lambda log: None)  # runs wait while the cluster is silent
        self._needs: dict[str, Need] = {}
        self._kinds: dict[str, str] = {}  # the processor that a search's trials are measured on, by its tag
        forget_seen(workspace)

    def turn(self) -> None:
        """Keeps a carrier connected."""
        self.spare.keep()

    def is_ready(self) -> bool:
        """Whether a carrier is connected and knows the nodes."""
        return self.spare.worker is not None and self.spare.worker.ready()

    def has_room(self, run: Run, going: Sequence[Run]) -> bool:
        """Whether some node has room; true also for a run that no node will have: it is then refused."""
        known = {run.id, *(each.id for each in going)}
        self._needs = {each: need for each, need in self._needs.items() if each in known}
        return self.refusal(run) is not None or self._node(run, going) is not None

    def refusal(self, run: Run) -> UserError | None:
        """What the nodes said, if each of them has refused the run."""
        refused = place_of(run).refused
        usable = read_seen(self.workspace, self.address).usable
        if not usable or any(node.id not in refused for node in usable):
            return None
        return refused_by_all(refused[node.id] for node in usable)

    def begin(self, run: Run, going: Sequence[Run], before: Callable[[], object]) -> Worker | None:
        """Gives the run and its node to the waiting carrier."""
        node = self._node(run, going)
        worker = self.spare.take() if node is not None else None
        if node is None or worker is None:
            return None
        try:
            put_place(run, replace(place_of(run), node=node.id, name=node.name))
            worker.give_run(run, before)
        except OSError:
            self.spare.put_back(worker)
            raise
        if (search := search_of(run)) and node.processor:
            self._kinds[search] = self._kinds.get(search) or node.processor
        return worker

    def is_spare(self, who: Identity | None) -> bool:
        """Whether that is the waiting carrier."""
        return self.spare.is_it(who)

    def close(self) -> None:
        """Ends the waiting carrier; those on their way go on."""
        self.spare.close()

    def _node(self, run: Run, going: Sequence[Run]) -> Node | None:
        usable = read_seen(self.workspace, self.address).usable
        refused = place_of(run).refused
        taken = [(place_of(each).node, self._need(each)) for each in going]
        open_to_it = [node for node in usable if node.id not in refused]
        kind = self._kind(search_of(run))
        alike = [node for node in open_to_it if node.processor == kind]
        return choose(self._need(run), alike or open_to_it, taken)

    def _kind(self, search: str) -> str:
        """The processor that earlier trials of the search were measured on, since their latencies are compared; empty
        if there were none."""
        if search and search not in self._kinds:
            runs = (Run(self.workspace.path / "runs" / run_id) for run_id in self.workspace.run_ids())
            told = (run.state().environment.get("processor", "") for run in runs if search_of(run) == search)
            self._kinds[search] = next(filter(None, told), "")
        return self._kinds.get(search, "")

    def _need(self, run: Run) -> Need:
        """What a run takes: a GPU also for `auto` if any node has one."""
        if run.id not in self._needs:
            cards = sum(node.gpus for node in read_seen(self.workspace, self.address).usable)
            self._needs[run.id] = need_of(run, cards)
        return self._needs[run.id]


def search_of(run: Run) -> str:
    """The tag of the search that began the run; empty if a person did."""
    return next((tag for tag in run.notes().tags if TRIAL.fullmatch(tag)), "")
