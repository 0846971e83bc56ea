"""Runs on this machine: each gets a worker process, as many at once as the cores and GPUs allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.cluster.nodes import PLACE, place_of
from core.errors import UserError
from core.files import remove_file
from core.hardware.machine import gpus
from core.processes.identity import Identity
from core.processes.run_monitor import Timeouts
from core.processes.slots import Need, is_room, need_of, slots
from core.processes.spare import Spare
from core.processes.workers import Worker
from core.runs import Run
from core.workspace import Workspace


class LocalExecutor:
    """Gives runs to the spare worker; see `Executor`."""

    def __init__(
        self,
        workspace: Workspace,
        command: tuple[str, ...],
        timeouts: Timeouts,
        give_up: Callable[[str], None],
        may_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        self.workspace = workspace
        self.may_wait = may_wait  # whether a spare worker would only take the runs at work their cores
        self.spare = Spare(workspace, command, timeouts, give_up)
        self._needs: dict[str, Need] = {}  # what runs take, by their ids
        self._gpus: dict[str, int] = {}  # the GPU that a run was given

    def turn(self) -> None:
        """Keeps a spare worker ready."""
        self.spare.keep(later=self.spare.worker is None and self.may_wait())

    def is_ready(self) -> bool:
        """Whether there is a spare worker, if only one that still imports."""
        return self.spare.worker is not None

    def has_room(self, run: Run, going: Sequence[Run]) -> bool:
        """Whether there are cores, a GPU if it needs one, and memory."""
        known = {run.id, *(each.id for each in going)}
        self._needs = {each: need for each, need in self._needs.items() if each in known}
        taken = self._taken(going)
        return slots(self.workspace).admits(self._need(run), taken) and (not taken or is_room())

    def is_full(self, going: Sequence[Run]) -> bool:
        """Whether those that go on take every core that runs may use."""
        return not slots(self.workspace).admits(Need(), self._taken(going))

    def refusal(self, run: Run) -> UserError | None:
        """None: a run that asks for too much fails by itself, with the reason."""
        return None

    def begin(self, run: Run, going: Sequence[Run], before: Callable[[], object]) -> Worker | None:
        """Gives the run to the spare worker, and a GPU if it needs one."""
        worker = self.spare.take()
        if worker is None:
            return None
        if (run.folder / PLACE).exists():  # it was on a cluster before
            remove_file(run.folder / PLACE)
        try:
            worker.give_run(run, before, self._gpu(run, going))
        except OSError:  # the disk failed before the worker got the run: keep the worker
            self.spare.put_back(worker)
            raise
        return worker

    def is_spare(self, who: Identity | None) -> bool:
        """Whether that is the spare worker."""
        return self.spare.is_it(who)

    def close(self) -> None:
        """Ends the spare worker."""
        self.spare.close()

    def _taken(self, going: Sequence[Run]) -> list[Need]:
        """What those take that go on here; the others are on a cluster."""
        return [self._need(each) for each in going if not place_of(each).node]

    def _need(self, run: Run) -> Need:
        if run.id not in self._needs:
            self._needs[run.id] = need_of(run, gpus())
        return self._needs[run.id]

    def _gpu(self, run: Run, going: Sequence[Run]) -> int | None:
        """The index of the GPU for the run; None if it needs none, or if the machine has one only."""
        here = slots(self.workspace)
        if not self._need(run).gpu or here.gpus < 2:
            return None
        told = (each.state().environment.get("gpu", "") for each in going)
        taken = {*(int(index) for index in told if index.isdigit()), *(self._gpus.get(each.id) for each in going)}
        self._gpus[run.id] = here.free_gpu(index for index in taken if index is not None)
        return self._gpus[run.id]
