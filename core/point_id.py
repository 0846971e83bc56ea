"""Which point of which run is meant: as addresses, selections and questions to the engine name it."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import UserError
from core.points import Point
from core.runs import Run
from core.workspace import Workspace

MOST_PARTS = 3


@dataclass(frozen=True)
class PointId:
    """The point of a run's `step`, or the control of that name beside it."""

    run: str
    step: int
    control: str = ""

    @classmethod
    def parse(cls, text: str) -> PointId | None:
        """What `str` wrote, `<run>:<step>` or `<run>:<step>:<control>`; None for anything else."""
        run, *rest = text.split(":", MOST_PARTS - 1)
        if not rest or not rest[0].isdecimal() or len(rest[0]) > MOST_PARTS:
            return None
        return cls(run, int(rest[0]), "".join(rest[1:]))

    def __str__(self) -> str:
        return ":".join((self.run, str(self.step), *([self.control] if self.control else [])))

    def find(self, store: Workspace) -> tuple[Run, Point]:
        """The run and its point; raises UserError `unknown_run`, `unknown_step`."""
        run = store.run(self.run)
        return run, self.of(run)

    def of(self, run: Run) -> Point:
        """The point of `run`; raises UserError `unknown_step`."""
        summary = run.summary()
        held = summary.controls if self.control else summary.points
        found = (p for p in held if p.step == self.step and (not self.control or p.name == self.control))
        if (point := next(found, None)) is None:
            allowed = f"of {', '.join(str(p.step) for p in held)}" if held else "of a run with a measured step"
            raise UserError("unknown_step", "step", self.step, allowed, "Choose another model of the run.")
        return point
