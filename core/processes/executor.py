"""Where queued runs are worked on: on this machine, or on the nodes of a cluster.

Wherever that is, a run at work has a process here: it is the run's worker, or it carries the run to a node and back.
Its death is the run's, so that watching, cancelling and taking up again are the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from core.errors import UserError
from core.processes.identity import Identity
from core.processes.workers import Worker
from core.runs import Run


class Executor(Protocol):
    """What the supervisor gives runs to."""

    def turn(self) -> None:
        """Does what is due, such as to keep a process ready for the next run. Raises OSError if the disk fails."""

    def is_ready(self) -> bool:
        """Whether a run could begin at once, or soon."""

    def has_room(self, run: Run, going: Sequence[Run]) -> bool:
        """Whether the run may begin beside those that go on; one that waits for room is not overtaken."""

    def refusal(self, run: Run) -> UserError | None:
        """Why this run can begin nowhere, whatever else ends; None if it can."""

    def begin(self, run: Run, going: Sequence[Run], before: Callable[[], object]) -> Worker | None:
        """Gives the run to a process that waits for one, and returns it; None while there is none.

        `before` is called when the process was recorded in the run's folder and has not got the run yet. Raises OSError
        if the disk fails; the process then still waits.
        """

    def is_spare(self, who: Identity | None) -> bool:
        """Whether that process waits for a run."""

    def close(self) -> None:
        """Ends what waits; what is at work goes on."""
