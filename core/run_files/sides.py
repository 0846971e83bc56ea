"""A measured point by its id, wherever in the workspace its run is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from core.errors import UserError
from core.points import Point
from core.run_files.bundle import CARD
from core.runs import Run
from core.workspace import Workspace


@dataclass(frozen=True)
class Side:
    """A measured point, or a control, and the run that it belongs to."""

    run: Run
    point: Point

    @property
    def id(self) -> str:
        """As on Trade-offs: `<run>:<step>`, of a control `<run>:<step>:<name>`."""
        return f"{self.run.id}:{self.place}"

    @property
    def place(self) -> str:
        """Its id within the run."""
        return f"{self.point.step}:{self.point.name}" if self.point.control else str(self.point.step)

    @property
    def card(self) -> str:
        """The path of the file with its labels and preprocessing, relative to the run's folder."""
        return str(PurePosixPath(self.point.artifact or "").with_name(CARD))


def side(workspace: Workspace, given: str) -> Side:
    """The point of that id; raises UserError `unknown_run` and `unknown_point`."""
    run_id, _, place = given.partition(":")
    run = workspace.run(run_id)
    found = next((one for one in sides(run) if one.place == place), None)
    if found is None:
        fix = "It may have been measured anew: choose a point from the list."
        raise UserError("unknown_point", "point", place, "a point of the run that has a saved file", fix)
    return found


def sides(run: Run) -> tuple[Side, ...]:
    """The run's points and controls that have a saved file."""
    summary = run.summary()
    return tuple(Side(run, point) for point in (*summary.points, *summary.controls) if point.artifact)


def parent(chosen: Side) -> Side | None:
    """The point that the chosen one was made from, which is the one before it; of a control the point that stands at
    its step, which it is there to be held against. None for the first."""
    points = [one for one in sides(chosen.run) if not one.point.control]
    if chosen.point.control:
        return next((one for one in points if one.point.step == chosen.point.step), None)
    return max(
        (one for one in points if one.point.step < chosen.point.step), key=lambda one: one.point.step, default=None
    )


def of_same_images(one: Side, other: Side) -> bool:
    """Whether both were measured on the same dataset, of a person's own in the same version."""
    sets = [(side.run.headline().dataset, side.run.state().environment.get("dataset_version")) for side in (one, other)]
    return sets[0] == sets[1]
