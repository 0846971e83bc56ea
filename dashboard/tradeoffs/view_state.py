"""What a person looks at on Trade-offs: axes, filters, selection, bounds; kept in the session and in the address."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import quote, unquote

import pandas as pd

from dashboard.charts import knobs, style
from dashboard.charts.front import AREAS, COSTS, QUALITIES, Axes
from dashboard.charts.knobs import Wanted
from dashboard.charts.points import further_runtimes
from dashboard.session import LONGEST_QUERY, forget, put_query, raw_query, recall, remember, widget
from dashboard.undisturbed import undisturbed

KEPT, WRITTEN = "tradeoffs.view", "tradeoffs.written"
HERE = "tradeoffs_x"  # a widget of this page: Streamlit forgets it when another page is shown
FEW_RUNS = 12  # up to here every run's path is drawn unless a person says otherwise
MOST_SELECTED = 60  # more fit neither into an address nor into a comparison
LARGEST = 1e9  # of a bound


@dataclass(frozen=True)
class View:
    """All that a copied address restores; None: as the page sees fit; megabytes, milliseconds, points of percent."""

    x: str = "bytes"
    y: str = "validation"
    log: bool = True
    area: str = "p50"
    runtime: str = ""
    dataset: str = ""
    backbone: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    knobs: tuple[str, ...] = ()
    front: bool = False
    samples: bool | None = None
    controls: bool = True
    paths: bool | None = None
    sel: tuple[str, ...] = ()
    base: str = ""
    mb: float | None = None
    ms: float | None = None
    drop: float | None = None

    @property
    def axes(self) -> Axes:
        return Axes(self.x, self.y, self.log, self.area)


NAMES = tuple(field.name for field in fields(View))
CHOICES = {"x": COSTS, "y": QUALITIES, "area": AREAS}
SWITCHES = {"1": True, "0": False}


# the address


def to_address(view: View) -> dict[str, str]:
    """The parameters that restore `view`; what is as it is by default is left out."""
    changed = [name for name in NAMES if getattr(view, name) != getattr(View(), name)]
    written = {name: _written(getattr(view, name)) for name in changed}
    return {name: text for name, text in written.items() if text and len(text) <= LONGEST_QUERY}


def from_address(read: Callable[[str], str | None]) -> View:
    """The view an address asks for; a parameter that means nothing is as if it were not there."""
    given = {name: text for name in NAMES if (text := read(name))}
    found: dict[str, Any] = {name: value for name, text in given.items() if (value := _read(name, text)) is not None}
    return replace(View(), **found)


def _written(value: object) -> str:
    if isinstance(value, tuple):
        joined = ",".join(quote(str(one), safe=":") for one in value)
        return joined if len(joined) <= LONGEST_QUERY else joined[:LONGEST_QUERY].rpartition(",")[0]
    return str(int(value)) if isinstance(value, bool) else f"{value:.10g}" if isinstance(value, float) else str(value)


def _read(name: str, text: str) -> object:
    if name in CHOICES:
        return text if text in CHOICES[name] else None
    if name in ("log", "front", "samples", "controls", "paths"):
        return SWITCHES.get(text)
    if name in ("mb", "ms", "drop"):
        return bound(text)
    if name in ("sel", "backbone", "stage", "tag", "state", "knobs"):
        return tuple(dict.fromkeys(unquote(part) for part in text.split(",") if part))[:MOST_SELECTED]
    return text


def bound(text: object) -> float | None:
    """A finite number from 0 to a thousand million, else None."""
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number <= LARGEST else None


# the session


def current() -> View:
    """The view of this session, or that of the address where it is not the one we wrote there.

    An empty address was emptied by the browser's Back if the page was here a moment ago; else a person comes from
    another page, and finds what they left.
    """
    asked = {name: text for name in NAMES if (text := raw_query(name)) is not None}
    stayed = widget(HERE, None) is not None
    if asked != recall(WRITTEN, {}) and (asked or stayed):
        change(from_address(asked.get))
    return kept()


def kept() -> View:
    """The view this session keeps, whatever the address says."""
    view: View = recall(KEPT, View())
    return view


def change(view: View) -> None:
    """Keeps a view for this session."""
    remember(KEPT, view)


def alter(**changed: Any) -> None:
    """Changes parts of the session's view, as a widget's callback does."""
    change(replace(recall(KEPT, View()), **changed))


@undisturbed()
def write(view: View) -> None:
    """Puts the view into the address; whole, so that an address in part is not taken for a person's."""
    wanted = to_address(view)
    for name in NAMES:
        put_query(name, wanted.get(name))
    remember(WRITTEN, wanted)


def reset() -> None:
    """The view as it is at first, the selection and the baseline kept."""
    view: View = recall(KEPT, View())
    change(View(sel=view.sel, base=view.base))
    forget(WRITTEN)


def toggle(ids: Iterable[str]) -> None:
    """Takes points into the selection, or out of it."""
    view: View = recall(KEPT, View())
    out = set(ids) & set(view.sel)
    select([*(one for one in view.sel if one not in out), *(one for one in ids if one not in out)])


def select(ids: Iterable[str]) -> None:
    """Makes these the selection; `recall("tradeoffs.left_out")` then tells how many were too many."""
    chosen = tuple(dict.fromkeys(ids))
    remember("tradeoffs.left_out", max(len(chosen) - MOST_SELECTED, 0))
    alter(sel=chosen[:MOST_SELECTED])


# the table


def datasets(points: pd.DataFrame) -> list[str]:
    """The datasets that have points, that of the newest run first."""
    return [str(name) for name in pd.unique(points["dataset"])]


def tags(points: pd.DataFrame) -> list[str]:
    """All tags of these points' runs."""
    return sorted({tag for tags in points["tags"] for tag in tags})


def comparable(points: pd.DataFrame, view: View) -> pd.DataFrame:
    """The points of one dataset: accuracies on different images say nothing about each other. With accuracy on the
    target drawn, those of other targets than the newest go as well."""
    known = datasets(points)
    chosen = view.dataset if view.dataset in known else (known or [""])[0]
    same = points[points["dataset"] == chosen]
    target = target_of(same) if view.y == "on_target" else ""
    return same[same["target"].isin(("", target))] if target else same


def runtime_of(points: pd.DataFrame, view: View) -> str:
    """The further runtime whose figures are looked at; empty for the points' own, and where none was measured in it."""
    return view.runtime if view.runtime in further_runtimes(points) else ""


def target_of(points: pd.DataFrame) -> str:
    """The target dataset of the newest run that has one; empty where none has."""
    return next((str(name) for name in points["target"] if name), "")


def apply(points: pd.DataFrame, view: View) -> pd.DataFrame:
    """The comparable points that pass the filters; a filter that names nothing there is off."""
    kept = points
    for name, wanted in (("backbone", view.backbone), ("stage", view.stage), ("status", view.state)):
        chosen = set(wanted) & set(points[name])
        kept = kept[kept[name].isin(chosen)] if chosen else kept
    asked = set(view.tag) & set(tags(points)) if view.tag else set()
    if asked:
        kept = kept[kept["tags"].map(lambda those: bool(asked.intersection(those))).astype(bool)]
    return kept if view.controls else kept[~kept["control"]]


def active(view: View) -> int:
    """How many filters are on."""
    switches = (view.backbone, view.stage, view.tag, view.state, view.front, not view.controls)
    return sum(map(bool, switches)) + sum(one.is_set for one in filters(view))


def filters(view: View) -> list[Wanted]:
    """The filters by the value of a setting; what an address says that is none is left out."""
    return [one for text in view.knobs if (one := knobs.wanted(text)) is not None]


STAGES = tuple(style.SYMBOLS)
