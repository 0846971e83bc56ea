"""Which point is looked at and what it is held against: the address says so, three menus change it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.run_files.sides import Side, parent, side, sides
from core.text import formatting
from dashboard import components
from dashboard.charts.style import MARKS
from dashboard.i18n import named, named_point, say
from dashboard.inspect.choice import Choice
from dashboard.session import followed, put_query, raw_query, widget, workspace
from dashboard.tradeoffs.points_cache import stored

NOTHING = "none"  # in the address: held against nothing
MOST_RUNS, MOST_OTHERS = 200, 200  # to choose from, the newest ones: runs, and points of other runs
CELL = "cell"
WIDTH, WIDTHS = 325, {"run": 430}  # pixels of a menu: a run is called by its name and the second it was begun


def chosen() -> Choice | None:
    """What the address names, else the smallest step of the newest run beside its parent; None, with a way on, where
    there is no point to look at."""
    table = stored().table()
    names = _run_names(table)
    run = _asked_run(list(names))
    if run is None:
        return None
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect_choice"):
        offered = [one for place, one in enumerate(names) if place < MOST_RUNS or one == run]
        _menu("run", offered, run, lambda one: names[one], _another_run)
        found = sides(followed(run))
        if found:
            own = _own(found)
            return Choice(own.run, own.point, _against(own, found, table))
    components.empty(say("inspect.no_file"), say("inspect.to_live"), "live", ":material/monitoring:")
    return None


def _asked_run(runs: list[str]) -> str | None:
    asked = raw_query("run")
    if asked is not None and asked not in runs:
        components.empty(
            say("inspect.unknown_run"), say("inspect.to_tradeoffs"), "tradeoffs", ":material/scatter_plot:"
        )
        return None
    if not runs:
        components.empty(say("inspect.empty"), say("inspect.empty_action"), "home", ":material/play_arrow:")
        return None
    return asked or runs[0]


def _own(found: tuple[Side, ...]) -> Side:
    """The point that the address names, else the run's last one."""
    by_place = {one.place: one for one in found}
    asked = raw_query("point") or ""
    last = [one for one in found if not one.point.control] or list(found)
    place = asked if asked in by_place else last[-1].place
    _menu("point", list(by_place), place, lambda one: title(by_place[one]), _another_point)
    return by_place[place]


def _against(own: Side, found: tuple[Side, ...], table: pd.DataFrame) -> Side | None:
    """What the address names, else the point that the chosen one was made from."""
    labels = {one.id: title(one) for one in found if one.id != own.id} | _others(own, table)
    labels |= {NOTHING: say("inspect.nothing")}
    made_from = parent(own)
    usual = made_from.id if made_from is not None else NOTHING
    asked = raw_query("against") or usual
    if asked not in labels:
        asked = usual
    _menu("against", list(labels), asked, lambda one: labels[one], _another_against)
    known = {one.id: one for one in found}
    try:
        return None if asked == NOTHING else known.get(asked) or side(workspace(), asked)
    except UserError as error:  # deleted meanwhile
        components.refused(error)
        return None


def _others(own: Side, table: pd.DataFrame) -> dict[str, str]:
    """The points of other runs on the same data, the newest first."""
    dataset = own.run.headline().dataset
    rows = table[(table["dataset"] == dataset) & (table["run"] != own.run.id)].head(MOST_OTHERS)
    runs = _run_names(rows)
    return {str(row["id"]): f"{_title_of_row(row)} · {runs[str(row['run'])]}" for _, row in rows.iterrows()}


def _run_names(table: pd.DataFrame) -> dict[str, str]:
    """By run, the newest first, its name and when it was asked for: a browser answers with this text, so that no two
    may be equal."""
    first = table.drop_duplicates("run")
    rows = zip(first["run"], first["run_name"], first["created"], strict=True)
    return {str(run): f"{name} · {_when(float(created)) or run}" for run, name, created in rows}


def _when(created: float) -> str:
    known = created == created  # else NaN: handed in without a log
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(created)) if known else ""


def title(one: Side) -> str:
    """A point's mark, step, name and test accuracy, in plain text: a menu shows what was typed."""
    point = one.point
    name = named(point.stage, point.method, point.name)
    return _title(point.stage, point.step, name, bool(point.control), point.accuracy)


def _title_of_row(row: pd.Series[Any]) -> str:
    name = named(str(row["stage"]), str(row["method"]), str(row["name"]))
    share = None if pd.isna(row["accuracy"]) else float(row["accuracy"])
    return _title(str(row["stage"]), int(row["step"]), name, bool(row["control"]), share)


def _title(stage: str, step: int, name: str, control: bool, accuracy: float | None) -> str:
    return f"{MARKS.get(stage, '○')} {step + 1} {named_point(name, control=control)} · {formatting.percent(accuracy)}"


def _menu(name: str, options: list[str], now: str, told: Callable[[str], str], change: Callable[[str], None]) -> None:
    """A menu that stands at `now`; a widget of its own for each value, as one that is set from here may answer its old
    one."""
    key = f"inspect_{name}_{now}"
    st.selectbox(
        say(f"inspect.{name}"),
        options,
        options.index(now),
        format_func=told,
        key=key,
        on_change=_changed,
        args=(key, now, change),
        width=WIDTHS.get(name, WIDTH),
    )


def _changed(key: str, now: str, change: Callable[[str], None]) -> None:
    change(widget(key, now))


def _another_run(run: str) -> None:
    put_query("run", run)
    for name in ("point", "against", CELL):
        put_query(name, None)


def _another_point(place: str) -> None:
    put_query("point", place)
    for name in ("against", CELL):
        put_query(name, None)


def _another_against(other: str) -> None:
    put_query("against", other)


def write(choice: Choice) -> None:
    """Puts the choice into the address."""
    made_from = parent(choice.side)
    usual = made_from.id if made_from is not None else NOTHING
    now = choice.against.id if choice.against is not None else NOTHING
    put_query("run", choice.run.id)
    put_query("point", choice.side.place)
    put_query("against", None if now == usual else now)
