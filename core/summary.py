"""The summary of a run, stored in result.json, and a person's notes on it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict

from core.points import Point
from core.runtimes import TITLES
from core.state import Status

IMMUTABLE = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Notes(BaseModel):
    """A person's notes on a run; an empty name keeps the recipe's."""

    model_config = IMMUTABLE

    name: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


def _emptied(text: object) -> object:
    """Earlier versions stored empty texts of a recipe as two quotation marks."""
    return "" if text == '""' else text


Text = Annotated[str, BeforeValidator(_emptied)]


class SavedFile(BaseModel):
    """A file that a run saved, with its hash; `path` is relative to the run folder."""

    model_config = IMMUTABLE

    step: int
    path: str
    bytes: int
    sha256: str


class Line(NamedTuple):
    """A run in a list, with its number of points and the figures of its last one: `accuracy` with the ends of its
    interval, size in bytes; None: not measured."""

    id: str
    status: str
    name: str
    points: int = 0
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    bytes: int | None = None
    at_chance: bool = False


class RunSummary(BaseModel):
    """A run as a row of a table; `result.json` holds this, without the id, which is the folder's name.

    Times are seconds since 1970. `files` and `events`, the number of events so far, help if the log is damaged later;
    `lost` is the number of log lines that could not be read when the summary was written. `environments_known`: a point
    that was measured in another environment than the last start's says so; earlier versions did not write that.
    """

    model_config = IMMUTABLE

    id: str = ""
    name: Text
    status: Status
    dataset: Text = ""
    target: Text = ""
    backbone: Text = ""
    created: float | None = None
    started: float | None = None
    finished: float | None = None
    lasted: float | None = None  # seconds; None if the clock was moved meanwhile
    points: tuple[Point, ...] = ()
    controls: tuple[Point, ...] = ()
    environment: dict[str, str] = {}
    error: dict[str, str] | None = None
    cause: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    files: tuple[SavedFile, ...] = ()
    events: int = 0
    lost: int = 0
    environments_known: bool = False

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The known runtimes in which any of its points was measured, its own first."""
        points = (*self.points, *self.controls)
        own = (point.latency_ms.runtime for point in points if point.latency_ms)
        names = dict.fromkeys((*own, *(name for point in points for name in point.runtimes or ())))
        return tuple(name for name in names if name in TITLES)

    def environment_of(self, point: Point) -> dict[str, str]:
        """The environment that one of its points was measured in."""
        return point.environment(self.environment)

    @property
    def environments(self) -> tuple[tuple[dict[str, str], tuple[Point, ...]], ...]:
        """Each environment that any of its points was measured in, with these points and controls, in the order of the
        first of them; last the run's own, without points, if none was measured in it."""
        found: list[tuple[dict[str, str], list[Point]]] = []
        for point in (*self.points, *self.controls):
            environment = self.environment_of(point)
            same = next((points for known, points in found if known == environment), None)
            if same is None:
                found.append((environment, [point]))
            else:
                same.append(point)
        if all(known != self.environment for known, _ in found):
            found.append((self.environment, []))
        return tuple((known, tuple(points)) for known, points in found)

    def seen_in(self, runtime: str) -> RunSummary:
        """The run with the figures of one of its runtimes; see `Point.seen_in`."""
        seen = {name: tuple(point.seen_in(runtime) for point in getattr(self, name)) for name in ("points", "controls")}
        return self.model_copy(update=seen)

    def line(self) -> Line:
        """The run as a line of a list."""
        last = max(self.points, key=lambda point: point.step, default=None)
        if last is None:
            return Line(self.id, self.status.value, self.name)
        found = (last.middle, *last.whiskers, last.bytes, last.is_at_chance)
        return Line(self.id, self.status.value, self.name, len(self.points), *found)
