"""Settings on Trade-offs: which differ among the points shown, filters by their values, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pandas as pd
import streamlit as st

from core.options import Value
from dashboard.charts import knobs
from dashboard.charts.comparison import METHOD, RECIPE, Setting
from dashboard.charts.knobs import Knob, Wanted
from dashboard.charts.style import MARKS
from dashboard.i18n import say
from dashboard.session import set_widget, widget, workspace
from dashboard.tradeoffs import selection, view_state
from dashboard.tradeoffs.view_state import View

MOST_RUNS = 1000  # whose recipes are read: a recipe takes some milliseconds the first time
CHOSEN = "tradeoffs_knobs"


def known(points: pd.DataFrame, filters: Sequence[Wanted] = ()) -> pd.DataFrame:
    """The settings on which the points differ or that are filtered by, a row a point, a column a knob; of the newest
    MOST_RUNS runs."""
    runs = pd.unique(points["run"])[:MOST_RUNS]
    rows = points[points["run"].isin(runs)]
    where = str(workspace().path)
    keys = zip(rows["id"], rows["run"], rows["sample"], rows["step"], rows["control"], rows["name"], strict=True)
    found = {str(ident): _settings(where, *map(_plain, key)) for ident, *key in keys}
    named = {one.knob for one in filters}
    return knobs.info({ident: given for ident, given in found.items() if given is not None}, named)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else value.item() if hasattr(value, "item") else value


@lru_cache(maxsize=8192)
def _settings(where: str, run: str, sample: bool, step: float, control: bool, name: str) -> dict[Setting, Value] | None:
    """Everything that led to a point of the workspace at `where`; it never changes."""
    return selection.settings_of(
        pd.Series({"run": run, "sample": sample, "step": step, "control": control, "name": name})
    )


def apply(points: pd.DataFrame, view: View) -> pd.DataFrame:
    """The points that pass the filters by settings."""
    asked = [one for one in view_state.filters(view) if one.is_set]
    if not asked:
        return points
    table = known(points, asked)
    kept = knobs.passing(table, asked)
    if not any(one.knob in table for one in asked):
        return points
    return points[points["id"].isin(kept.index[kept])]


def title(name: str) -> str:
    """A knob's own words, with the mark of its stage and, from the second step of a stage on, which it is."""
    knob = Knob.parse(name)
    words = selection.words_of(_setting(knob))
    if knob.name == METHOD:
        words = say("tradeoffs.method")
    if not knob.stage:
        return words
    again = f" {knob.place}" if knob.place > 1 else ""
    return f"{MARKS.get(knob.stage, '')}{again} {words}"


def value(name: str, found: Any) -> str:
    """A value of a knob as a person reads it."""
    knob = Knob.parse(name)
    if knob.name == METHOD:
        return selection.plain(Setting(0, "", METHOD), f"{knob.stage}.{found}").partition(" ")[2]
    return selection.plain(_setting(knob), found)


def _setting(knob: Knob) -> Setting:
    return Setting(0 if knob.stage else RECIPE, knob.stage, knob.name)


# the fields


def fields(points: pd.DataFrame, view: View) -> None:
    """Which settings to filter by, and for each the values or the span that pass. `points` are those before the
    filters by settings."""
    filters = view_state.filters(view)
    table = known(points, filters)
    if (runs := points["run"].nunique()) > MOST_RUNS:
        st.caption(say("tradeoffs.knobs_part", most=f"{MOST_RUNS:,}", count=f"{runs:,}"))
    if table.columns.empty:
        st.caption(say("tradeoffs.knobs_none"))
        return
    asked = {one.knob: one for one in filters if one.knob in table}
    set_widget(CHOSEN, list(asked))
    st.multiselect(
        say("tradeoffs.knobs"),
        list(table),
        format_func=title,
        key=CHOSEN,
        on_change=_choose,
        placeholder=say("tradeoffs.filter_none"),
        help=say("tradeoffs.knobs_help"),
    )
    for name, one in asked.items():
        _field(name, one, table[name])


def _field(knob: str, now: Wanted, values: pd.Series[Any]) -> None:
    different = sorted(values.dropna().unique(), key=lambda found: (isinstance(found, str), found))
    if knobs.is_number(values) and len(different) > knobs.MOST_VALUES:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for end, bound in (("low", now.low), ("high", now.high)):
                _end(knob, end, bound, float(different[0 if end == "low" else -1]))
        return
    words = {knobs.written(found): value(knob, found) for found in different}
    key = f"tradeoffs_knob_{knob}"
    set_widget(key, [one for one in now.values if one in words])
    st.multiselect(
        title(knob),
        list(words),
        format_func=lambda one: words.get(one, one),
        key=key,
        on_change=_take,
        args=(knob,),
        placeholder=say("tradeoffs.filter_none"),
    )


def _end(knob: str, end: str, bound: float, furthest: float) -> None:
    key = f"tradeoffs_knob_{knob}_{end}"
    set_widget(key, bound if abs(bound) < float("inf") else None)
    st.number_input(
        say(f"tradeoffs.knob_{end}", knob=title(knob)),
        value=None,
        key=key,
        format="%.10g",
        placeholder=knobs.written(furthest),
        on_change=_take,
        args=(knob,),
        width=170,
    )


def _choose() -> None:
    """Takes over which settings are filtered by; what is set of those that stay is kept."""
    chosen: list[str] = widget(CHOSEN, [])
    before = {one.knob: one for one in view_state.filters(view_state.kept())}
    view_state.alter(knobs=tuple(str(before.get(name, Wanted(name))) for name in chosen))


def _take(name: str) -> None:
    """Takes the values or the span of one setting over."""
    values, low, high = (widget(f"tradeoffs_knob_{name}{end}", None) for end in ("", "_low", "_high"))
    one = Wanted(
        name, tuple(values or ()), -float("inf") if low is None else low, float("inf") if high is None else high
    )
    view_state.alter(
        knobs=tuple(str(one if other.knob == name else other) for other in view_state.filters(view_state.kept()))
    )
