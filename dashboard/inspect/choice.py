"""What the page Inspect looks at: a point of a run, and what it is held against."""

from __future__ import annotations

from dataclasses import dataclass

from core.points import Point
from core.run_files.sides import Side
from core.runs import Run


@dataclass(frozen=True)
class Choice:
    """The point `point` of `run`, which has a saved file, held against another on the same images; None: against
    nothing, as for the first point of a run."""

    run: Run
    point: Point
    against: Side | None = None

    @property
    def side(self) -> Side:
        """The chosen point with its run."""
        return Side(self.run, self.point)
