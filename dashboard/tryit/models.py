"""Which saved models are asked: those of a run, or the points that the address names."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote, unquote

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.questions.classify import MOST_POINTS
from core.run_files.sides import Side, side
from core.text.escaping import UserText
from dashboard import components
from dashboard.charts.style import MARKS
from dashboard.i18n import aside, named, named_point, say
from dashboard.session import put_query, raw_query, widget, workspace
from dashboard.tradeoffs.points_cache import stored

ADDRESS = "sel"  # as on Trade-offs
USUAL = 5  # models of a run that are asked at first


def choose() -> list[Side]:
    """The models that a person wants to ask; says so where there are none at all."""
    table = stored().table()
    if table.empty:
        components.empty(say("tryit.empty"), say("tryit.empty_action"), "home", ":material/home:")
        return []
    asked = _asked(table)
    runs = list(pd.unique(table["run"]))
    run = _run(table, runs, asked)
    names = _names(table, run, asked)
    return _there(_models(table, run, names, asked))


def _asked(table: pd.DataFrame) -> list[str]:
    """The points that the address names, as far as they are there."""
    given = [unquote(one) for one in (raw_query(ADDRESS) or "").split(",") if one]
    known = set(table["id"])
    found = [one for one in dict.fromkeys(given) if one in known][:MOST_POINTS]
    if len(found) < len(given) and not found:
        st.warning(say("tryit.unknown"), icon=":material/link_off:")
    return found


def _run(table: pd.DataFrame, runs: Sequence[str], asked: Sequence[str]) -> str:
    names = dict(zip(table["run"], table["run_name"], strict=True))
    begin = str(table.loc[table["id"] == asked[0], "run"].iloc[0]) if asked else runs[0]
    chosen: str = st.selectbox(
        say("tryit.run"),
        runs,
        index=runs.index(begin),
        key="tryit_run",
        on_change=put_query,
        args=(ADDRESS, None),
        format_func=lambda run: UserText(names[run]).plain(),
    )
    return chosen


def _names(table: pd.DataFrame, run: str, asked: Sequence[str]) -> list[str]:
    """What can be chosen: every model of the run, and those of others that the address names."""
    own = list(table.loc[table["run"] == run, "id"])
    return [*own, *(one for one in asked if one not in own)]


def _models(table: pd.DataFrame, run: str, names: Sequence[str], asked: Sequence[str]) -> list[str]:
    controls = set(table.loc[table["control"], "id"])
    usual = [one for one in names if one not in controls][-USUAL:]
    key = f"tryit_models_{run}"

    def note() -> None:
        picked: list[str] = widget(key, [])
        put_query(ADDRESS, ",".join(quote(one, safe=":") for one in picked))

    def titled(one: str) -> str:
        return _title(next(row for _, row in table[table["id"] == one].iterrows()), run)

    found: list[str] = st.multiselect(
        say("tryit.models"),
        names,
        default=[one for one in asked if one in names] or usual,
        key=key,
        max_selections=MOST_POINTS,
        on_change=note,
        format_func=titled,
        placeholder=say("forms.choose"),
    )
    return found


def _title(row: pd.Series, run: str) -> str:
    """A point in a menu: that of another run with its run's name."""
    name = UserText(named(str(row["stage"]), str(row["method"]), str(row["name"]))).plain()
    title = f"{MARKS.get(str(row['stage']), '○')} {named_point(name, control=bool(row['control']))}"
    return title if row["run"] == run else aside(title, UserText(row["run_name"]).plain())


def _there(idents: Sequence[str]) -> list[Side]:
    """The points with their runs; what was deleted meanwhile is told and left out."""
    found = []
    for ident in idents:
        with suppress(UserError):
            found.append(side(workspace(), ident))
    if gone := len(idents) - len(found):
        st.warning(say("tryit.gone", count=gone), icon=":material/draft:")
    return found


def heading(model: Side) -> str:
    """A model's mark and name, for Markdown."""
    return components.heading(model.point, control=bool(model.point.control))


def plain(model: Side) -> str:
    """A model's name for a table."""
    return named(model.point.stage, model.point.method, model.point.name)
