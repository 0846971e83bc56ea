"""Any order of what people, workers and a faulty disk do to a workspace leaves what a simple model foresees."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core.errors import UserError
from core.events import RunFailed, RunFinished, RunInterrupted, RunPaused, RunStarted
from core.files import Failpoint, breaking
from core.runs import Status
from core.workspace import Workspace

RECIPE = 'schema = 1\nname = "any"\ndataset = "digits"\nbackbone = "resnet8"\n'
OVER = {Status.FINISHED, Status.FAILED, Status.CANCELLED, Status.INTERRUPTED}
ENDS = {
    Status.FINISHED: RunFinished(),
    Status.FAILED: RunFailed({"code": "x", "message": "x"}),
    Status.PAUSED: RunPaused("asked"),
    Status.INTERRUPTED: RunInterrupted("killed"),
}


class Life(RuleBasedStateMachine):
    """The model: the status of each run, the trash, and the order of the queue."""

    runs = Bundle("runs")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.workspace = Workspace.open_or_create(self.folder / "w")
        self.status: dict[str, Status] = {}
        self.trash: dict[str, Status] = {}
        self.queue: list[str] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(target=runs)
    def submit(self) -> str:
        run = self.workspace.submit(RECIPE)
        self.status[run.id] = Status.QUEUED
        self.queue.append(run.id)
        return run.id

    @rule(kind=st.sampled_from(["enospc", "eio", "erofs"]), at=st.integers(1, 60))
    def submit_on_a_disk_that_refuses(self, kind: str, at: int) -> None:
        with breaking(Failpoint(kind, at)) as fault:
            try:
                run = self.workspace.submit(RECIPE)
            except OSError:
                assert fault.fired
                return
        self.status[run.id] = Status.QUEUED
        self.queue.append(run.id)

    @rule(run_id=runs)
    def begin(self, run_id: str) -> None:
        if self.status.get(run_id) is Status.QUEUED:
            self.workspace.unqueue(run_id)
            self.queue = [waiting for waiting in self.queue if waiting != run_id]
            self.workspace.run(run_id).emit(RunStarted(1, {}))
            self.status[run_id] = Status.RUNNING

    @rule(run_id=runs, end=st.sampled_from(list(ENDS)))
    def end(self, run_id: str, end: Status) -> None:
        if self.status.get(run_id) is Status.RUNNING:
            self.workspace.run(run_id).emit(ENDS[end])
            self.status[run_id] = end

    @rule(run_id=runs)
    def cancel(self, run_id: str) -> None:
        with suppress(UserError):
            self.workspace.cancel(run_id)
            if self.status[run_id] not in OVER:
                self.status[run_id] = Status.CANCELLED
                self.queue = [waiting for waiting in self.queue if waiting != run_id]

    @rule(run_id=runs)
    def resume(self, run_id: str) -> None:
        try:
            self.workspace.resume(run_id)
        except UserError:
            assert self.status.get(run_id) in (None, Status.FINISHED)
            return
        self.status[run_id] = Status.QUEUED
        if run_id not in self.queue:
            self.queue.append(run_id)

    @rule(run_id=runs, position=st.integers(-2, 6))
    def reorder(self, run_id: str, position: int) -> None:
        try:
            self.workspace.reorder(run_id, position)
        except UserError:
            assert run_id not in self.queue
            return
        self.queue.remove(run_id)
        self.queue.insert(max(0, min(position, len(self.queue))), run_id)

    @rule(run_id=runs)
    def delete(self, run_id: str) -> None:
        with suppress(UserError):
            self.workspace.delete(run_id)
            self.trash[run_id] = self.status.pop(run_id)
            self.queue = [waiting for waiting in self.queue if waiting != run_id]

    @rule(run_id=consumes(runs), target=runs)
    def restore(self, run_id: str) -> str:
        if run_id in self.trash:
            self.workspace.restore(run_id)
            self.status[run_id] = self.trash.pop(run_id)
        return run_id

    @rule(folder=st.sampled_from(["runs", "jobs", "queue", "trash"]), name=st.sampled_from(["a", ".new-x", "0"]))
    def litter(self, folder: str, name: str) -> None:
        with suppress(FileExistsError):
            (self.workspace.path / folder / name).symlink_to("/nowhere")

    @rule()
    def tidy(self) -> None:
        self.workspace.tidy()

    @rule()
    def another_looks(self) -> None:
        """A new process, which knows nothing."""
        self.workspace = Workspace.open_or_create(self.workspace.path)

    @invariant()
    def is_as_foreseen(self) -> None:
        found = {row.id: row.status for row in self.workspace.runs()}
        assert found == self.status
        assert self.workspace.run_ids() == sorted(self.status)
        assert self.workspace.queued() == self.queue
        for run_id, status in self.status.items():
            run = self.workspace.run(run_id)
            told = run.scan()
            assert told.damaged == 0
            assert [event.seq for event in told.events] == list(range(len(told.events)))
            assert run.result.exists() == (status in OVER)


def test_the_workspace_is_as_a_simple_model_foresees() -> None:
    run_state_machine_as_test(Life, settings=settings(max_examples=8, stateful_step_count=12, deadline=None))


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_the_workspace_is_as_a_simple_model_foresees_at_length() -> None:
    begun = time.monotonic()
    long = settings(max_examples=500, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Life, settings=long)
    print(f"500 examples of up to 20 steps: 0 surprises ({time.monotonic() - begun:.0f} s)")
