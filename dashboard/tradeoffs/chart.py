"""The chart of Trade-offs and the table of its points; both show the same selection and change it."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.comparison.difference import Difference
from core.comparison.speed import unlike
from core.options import Value
from core.text import formatting
from core.text.escaping import UserText
from core.workspace import Workspace
from dashboard import chance, components, machines, terms
from dashboard.charts import front, hover, parallel, run_points
from dashboard.charts.bounds import best
from dashboard.charts.comparison import BETTER, CONDITIONS, DELTAS, OPEN, UNKNOWN, WORSE, Setting, changes
from dashboard.charts.points import SPREAD, further_runtimes, seen_in, spread, target_spread
from dashboard.charts.style import MARKS
from dashboard.charts.thinning import thinned
from dashboard.components import csv
from dashboard.i18n import aside, in_turn, language, listed, named, phrase, say, speaking, together
from dashboard.live_plot import Picked, live_plot
from dashboard.session import Language, dark, recall, remember, set_widget, widget, within, workspace
from dashboard.tradeoffs import controls, knob_filter, pairs, report, runtime, selection, view_state
from dashboard.tradeoffs.view_state import View

FEW_RUNS = 60  # up to here the hover tells what was set otherwise than for the baseline
MOST_SETTINGS = 5
BETWEEN_TAGS = ", "  # in a file, whatever the language
MOST_ROWS = 2000  # of the table; more take seconds to reach the browser
MOST_COMPARED = 500  # of those with a mark at every difference, which cost a millisecond each
HEIGHT = 385  # pixels of the table: ten rows
MOST_AXES = 5  # settings drawn as axes at first
SIGNS = {BETTER: "✓", WORSE: "✗", OPEN: "≈", UNKNOWN: "?"}  # behind a difference
GOOD_AND_BAD = {False: {BETTER: "#00704F", WORSE: "#A83C00"}, True: {BETTER: "#2BC49A", WORSE: "#FF8A50"}}  # if dark
FURTHER = ("accuracy", "low", "high", "validation", "p50", "p95", "threads", "noisy")  # columns of further runtimes
TICKED = {True: "✓", False: ""}  # in a table whose rows have boxes to tick already
SPREAD_OF = {"times": "", "low": "_low", "high": "_high"}  # fields of a Speed, and their columns in a file
FORMS = {  # of the numbers a person reads
    "accuracy": "%.1f",
    "spread": "%.1f",
    "on_target": "%.1f",
    "target_spread": "%.1f",
    "validation": "%.1f",
    "bytes": "%.1f",
    "p50": "%.3f",
    "p95": "%.3f",
    "params": "%d",
    "macs": "%d",
    **dict.fromkeys(SPREAD, "%.1f"),
}
ROWS, TABLE = "tradeoffs.rows", "tradeoffs_table"


# the chart


def show(points: pd.DataFrame, everything: pd.DataFrame, view: View) -> tuple[go.Figure, pd.DataFrame]:
    """Draws the points and says what is to be seen; returns the drawing, and the points with `front`."""
    table = front.info(points, view.axes)
    base, asked = view.base or best(points), runtime.asked(points)
    shown = front.Shown(
        view.sel,
        view.base,
        controls.drawn_paths(view, points),
        controls.bounds(points, everything, view),
        set_otherwise(table, everything, base),
        chance.levels(table, view.y),
    )
    few = thinned(table, view.axes, table["front"] | table["id"].isin({*view.sel, view.base}))
    words = labels(view, asked, brief=len(few) > front.MOST_SVG)
    drawn = front.figure(few.assign(name=called(few)), view.axes, words, shown, dark=dark())
    live_plot(drawn, key="tradeoffs_chart", alt=alt(table, view), file="trade-offs", on_pick=take)
    target = UserText(view_state.target_of(points) or "–").md()
    told = [say(f"tradeoffs.told_{'spread' if view.y in SPREAD else view.y}", target=target), samples_told(table)]
    told += runtime.told(points)
    told.append(machines_told(table, view))
    if len(few) < len(table):
        told.append(say("tradeoffs.told_thinned", drawn=f"{len(few):,}", count=f"{len(table):,}"))
    if missing := len(points) - len(table) - int(runtime.missing(points.drop(table.index)).sum()):
        told.append(say("tradeoffs.told_missing", count=missing))
    st.caption("  \n".join(filter(None, told)))
    marked = points.assign(front=table["front"].reindex(points.index, fill_value=False).astype(bool))
    return drawn, marked


def called(points: pd.DataFrame) -> list[str]:
    """The points' names in the person's language."""
    return [named(*row) for row in zip(points["stage"], points["method"], points["name"], strict=True)]


def _report(
    drawn: go.Figure,
    points: pd.DataFrame,
    picked: pd.DataFrame,
    view: View,
    night: bool,
    spoken: Language,
    store: Workspace,
) -> str:
    ordered = points.sort_values("front", ascending=False, kind="stable").head(MOST_ROWS)
    with speaking(spoken), within(store):
        return report.write(drawn, points, picked, worded(ordered), dark=night, unlike=machines_told(points, view, str))


def _file(points: pd.DataFrame, base: pd.Series[Any] | None, store: Workspace) -> bytes:
    """All points as a CSV file, every one compared with the baseline, where one is pinned."""
    with within(store):
        return csv(for_file(points, None if base is None else pairs.deltas(points, base)))


def show_parallel(points: pd.DataFrame) -> None:
    """Settings and figures of all points at once, behind a fold that draws only when it is open."""
    fold = st.expander(
        say("tradeoffs.parallel"), icon=":material/line_axis:", key="tradeoffs_parallel_fold", on_change="rerun"
    )
    if not fold.open:
        return
    with fold:
        settings = knob_filter.known(points)
        st.caption(together((say("tradeoffs.parallel_hint"), terms.of_words("tradeoffs.parallel"))))
        if (runs := points["run"].nunique()) > knob_filter.MOST_RUNS:
            st.caption(say("tradeoffs.knobs_part", most=f"{knob_filter.MOST_RUNS:,}", count=f"{runs:,}"))
        chosen = _parallel_knobs(settings)
        table = parallel.info(points, settings[chosen])
        axes = {name: say(f"tradeoffs.column_{name}") for name in ("stage", *parallel.SHARES, *parallel.COSTS)}
        axes["bytes"] = say("tradeoffs.parallel_bytes")
        titles = {knob: knob_filter.title(knob) for knob in chosen}
        words = parallel.Labels(
            axes,
            {stage: say(f"tradeoffs.{stage}") for stage in parallel.STAGES},
            titles,
            say("tradeoffs.parallel_none"),
        )
        told = {knob: partial(_value, knob) for knob in chosen}
        alt = say("tradeoffs.parallel_alt", count=len(table), axes=listed([*titles.values(), *axes.values()]))
        drawn = parallel.figure(table, words, told, dark=dark())
        components.chart(drawn, table, key="tradeoffs_parallel", alt=alt, file="parallel-coordinates")


def _value(knob: str, found: object) -> str:
    """A setting's value at an axis; a person may have typed it."""
    return hover.escaped(knob_filter.value(knob, found))


def _parallel_knobs(settings: pd.DataFrame) -> list[str]:
    """Which settings are axes; at first those that differ, as many as fit."""
    names = [str(name) for name in settings]
    if not names:
        return []
    key = "tradeoffs_parallel_knobs"
    before: list[str] = widget(key, names[:MOST_AXES])
    set_widget(key, [name for name in before if name in names])
    st.multiselect(
        say("tradeoffs.parallel_knobs"),
        names,
        format_func=knob_filter.title,
        key=key,
        max_selections=2 * MOST_AXES,
        placeholder=say("tradeoffs.parallel_knobs_none"),
    )
    return list(widget(key, []))


def take(picked: Picked) -> None:
    """A click takes a point into the selection or out of it; a frame replaces the selection."""
    view_state.select(picked.ids) if picked.how == "replace" else view_state.toggle(picked.ids)


def labels(view: View, asked: str = "", *, brief: bool = False) -> front.Labels:
    """The chart's words; `brief` for thousands of points, whose hover texts all travel to the browser."""
    return front.Labels(
        x=runtime.axis_title(view.x, asked),
        y=runtime.axis_title(view.y, asked),
        front=say("tradeoffs.front"),
        baseline=say("tradeoffs.baseline"),
        control=phrase("tradeoffs.control_of", language()),
        sample=say("tradeoffs.sample"),
        hover=phrase("tradeoffs.hover_brief" if brief else "tradeoffs.hover", language()),
        stages={stage: say(f"tradeoffs.{stage}") for stage in view_state.STAGES},
        chance=aside("", say("chance.badge")),
        interval=say("tradeoffs.whisker_interval"),
        seeds=say("tradeoffs.whisker_seeds"),
        spread=selection.spread_words(),
    )


def alt(table: pd.DataFrame, view: View) -> str:
    """The chart in words."""
    names = [aside(name, run) for name, run in table[table["front"]][["name", "run_name"]].head(5).to_numpy()]
    asked = runtime.asked(table)
    x, y = runtime.axis_title(view.x, asked), runtime.axis_title(view.y, asked)
    front_count = int(table["front"].sum())
    told = say("tradeoffs.alt", count=len(table), x=x, y=y, front=front_count, best=in_turn(names))
    return together([told, *(level.hint for level in chance.levels(table, view.y))])


def samples_told(table: pd.DataFrame) -> str:
    """Where and when the sample points were measured; empty if none is shown."""
    came = table[table["sample"]]
    if came.empty:
        return ""
    where = listed(UserText(name).md() for name in pd.unique(came["processor"]) if name)
    date = time.strftime("%Y-%m-%d", time.gmtime(came["finished"].max()))
    return say("tradeoffs.told_samples", count=len(came), processor=where, date=date)


def machines_told(table: pd.DataFrame, view: View, shown: machines.Shown = machines.markdown) -> str:
    """That latencies measured under unlike conditions are not ranked against each other; empty where these are the same
    or latencies play no part."""
    if "p50" not in (view.x, view.axes.area):
        return ""
    return machines.told_of("ranked" if view.x == "p50" else "area", run_points.kinds(table), shown)


def set_otherwise(table: pd.DataFrame, everything: pd.DataFrame, base: str) -> dict[str, str]:
    """For each point the settings that both it and the baseline have, with other values; for few runs only."""
    first = everything[everything["id"] == base]
    if first.empty or table["run"].nunique() > FEW_RUNS:
        return {}
    theirs = selection.settings_of(first.iloc[0])
    found = {}
    for _, row in table.iterrows():
        mine = selection.settings_of(row)
        if mine is not None and theirs is not None and (line := _line([theirs, mine])):
            found[str(row["id"])] = say("tradeoffs.hover_settings", settings=line)
    return found


def _line(both: list[selection.Given]) -> str:
    told = [
        f"{selection.words_of(change.setting)} " + " → ".join(_told(change.setting, value) for value in change.values)
        for change in changes(both)
        if None not in change.values
    ]
    return "<br>".join([*told[:MOST_SETTINGS], *(["…"] if len(told) > MOST_SETTINGS else [])])


def _told(setting: Setting, value: Value | None) -> str:
    return hover.escaped(selection.plain(setting, value))


# the table


def show_table(drawn: go.Figure, points: pd.DataFrame, everything: pd.DataFrame, view: View) -> None:
    """All points as rows, those on the front first, compared with the pinned baseline; ticking rows selects their
    points."""
    ordered = points.sort_values("front", ascending=False, kind="stable")
    page = partial(_report, drawn, points, selection.chosen(everything, view), view, dark(), language(), workspace())
    base = pinned(everything, view)
    file = partial(_file, ordered, base, workspace())
    most = MOST_ROWS if base is None else min(MOST_ROWS, MOST_COMPARED)
    rows = pd.concat([ordered.head(most), ordered.iloc[most:][lambda rest: rest["id"].isin(view.sel)]])
    found = None if base is None else pairs.deltas(rows, base)
    with st.container(horizontal=True, vertical_alignment="center", key="tradeoffs_table_head"):
        st.subheader(say("tradeoffs.table"), anchor=False, width="content", help=_heads_explained(points))
        st.download_button(
            say("tradeoffs.csv"),
            file,
            "trade-offs.csv",
            "text/csv",
            key="tradeoffs_csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            say("tradeoffs.html"),
            page,
            "trade-offs.html",
            "text/html",
            key="tradeoffs_html",
            icon=":material/download:",
            on_click="ignore",
            help=say("tradeoffs.html_help"),
        )
    told = [say("tradeoffs.table_hint"), say("tradeoffs.table_unpinned")]
    if base is not None:
        told[1] = say("tradeoffs.table_pinned", name=UserText(selection.name(base)).md())
    st.caption("  \n".join(told))
    if len(ordered) > most:
        st.caption(say("tradeoffs.table_part", most=f"{most:,}", count=f"{len(ordered):,}"))
    follow(rows["id"], view)
    eyes = for_eyes(rows, found)
    st.dataframe(
        eyes if found is None else marked_by_verdict(eyes, found),
        hide_index=True,
        key=TABLE,
        on_select=tick,
        selection_mode="multi-row",
        height=HEIGHT,
        column_config=columns(),
        placeholder="–",
        alt=say("tradeoffs.table_alt"),
        lazy=False,
    )


def _heads_explained(points: pd.DataFrame) -> str:
    """Links to the terms that explain the table's columns, of those that the table has."""
    shown = [name for name in FORMS if name not in SPREAD or points[name].notna().any()]
    return terms.of_words(*(f"tradeoffs.{name}" for name in shown))


def follow(ids: pd.Series[str], view: View) -> None:
    """Ticks the rows of the selected points; leaves the table alone where they are ticked already."""
    wanted = [place for place, chosen in enumerate(ids.isin(view.sel)) if chosen]
    state = widget(TABLE, None)
    if state is None or sorted(state["selection"]["rows"]) != wanted:
        set_widget(TABLE, {"selection": {"rows": wanted, "columns": [], "cells": []}})
    remember(ROWS, ids)


def tick() -> None:
    """Takes the ticked rows over; selected points that the table does not show stay selected."""
    ids: pd.Series[str] | None = recall(ROWS, None)
    state = widget(TABLE, None)
    if ids is None or state is None:
        return
    ticked = set(ids.iloc[[place for place in state["selection"]["rows"] if place < len(ids)]])
    before = recall(view_state.KEPT, View()).sel
    shown = set(ids)
    kept = [ident for ident in before if ident not in shown or ident in ticked]
    view_state.select([*kept, *(ident for ident in ids if ident in ticked and ident not in before)])


def pinned(everything: pd.DataFrame, view: View) -> pd.Series[Any] | None:
    """The row of the pinned baseline; None where none is, or its run was deleted."""
    found = everything[everything["id"] == view.base] if view.base else everything.head(0)
    return None if found.empty else found.iloc[0]


def marked_by_verdict(eyes: pd.DataFrame, found: pd.DataFrame) -> Any:
    """The table with a sign, a mark and a colour at every difference; it is sorted by the numbers all the same."""
    shades = GOOD_AND_BAD[dark()]
    styled = eyes.style.format(na_rep=formatting.NOT_MEASURED)
    for figure in DELTAS:
        for verdict, sign in SIGNS.items():
            rows = eyes.index[found[f"{figure}_is"] == verdict]
            cells = pd.IndexSlice[rows, [f"{figure}_delta"]]
            styled = styled.format(partial(_difference, sign, figure != "accuracy"), subset=cells, na_rep=sign)
            styled = styled.set_properties(subset=cells, color=shades[verdict]) if verdict in shades else styled
    return styled


def _difference(sign: str, is_share: bool, value: float) -> str:
    """`+1.2 ✓`, `−62 % ✓`; three digits at most."""
    number = f"{value:+.1f}" if abs(value) < 100 else f"{value:+,.0f}"
    return f"{number} {'% ' if is_share else ''}{sign}".replace("-", "−")


def for_eyes(points: pd.DataFrame, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """The columns a person reads, in percent, kilobytes and milliseconds; with the `deltas` of a baseline also the
    differences from it, in points of percent and percent, and what the verdict on the test accuracy rests on."""
    marks = {stage: f"{MARKS[stage]} {say(f'tradeoffs.{stage}')}" for stage in view_state.STAGES}
    hollow = {stage: say("tradeoffs.control_of", stage=told) for stage, told in marks.items()}
    stage = points["stage"].map(marks).where(~points["control"], points["stage"].map(hollow))
    there = {"on_target": 100 * points["on_target"], "target_spread": 100 * target_spread(points)}
    delta = {name: {} if found is None else {f"{name}_delta": 100 * found[name]} for name in DELTAS}
    tested = {} if found is None else {"tested": found["test"].map(tested_by)}
    several = points["seeds"].notna()
    kinds = {
        count: say("tradeoffs.spread_seeds", count=f"{count:.0f}") for count in pd.unique(points["seeds"][several])
    }
    spread_is = points["seeds"].map(kinds).where(several, say("tradeoffs.spread_interval"))
    state = points["status"].map({name: say(f"status.{name}") for name in pd.unique(points["status"])})
    at_chance = points["at_chance"].map({True: f"✗ {say('chance.badge')}", False: ""})
    return pd.DataFrame(
        {
            "front": points["front"].map(TICKED),
            "stage": stage,
            "name": called(points),
            "run": points["run_name"],
            "accuracy": 100 * points["accuracy"],
            "spread": 100 * spread(points),
            **({"spread_is": spread_is.where(points["accuracy"].notna(), "")} if several.any() else {}),
            **delta["accuracy"],
            **tested,
            **({"chance": at_chance} if points["at_chance"].any() else {}),
            **(there if points["on_target"].notna().any() else {}),
            "validation": 100 * points["validation"],
            **_spreads(points),
            "bytes": points["bytes"] / 1e3,
            **delta["bytes"],
            "p50": points["p50"],
            **delta["p50"],
            "p95": points["p95"],
            **runtime.column(points),
            **_conditions(points),
            "params": points["params"],
            "macs": points["macs"],
            "backbone": points["backbone"],
            "status": state,
            "tags": points["tags"].map(listed),
            "sample": points["sample"].map(TICKED),
        }
    )


def _conditions(points: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """What the latencies hold for, as far as it differs among the points; the runtime has a column of its own."""
    differing = [name for name in unlike(run_points.kinds(points)) if name != "runtime"]
    return {name: points[name].map(lambda of: of if isinstance(of, str) else _whole(of)) for name in differing}


def _whole(number: float) -> str:
    return "" if pd.isna(number) else f"{number:.0f}"


def tested_by(found: Difference | None) -> str:
    """What a verdict rests on; empty where there is none."""
    if found is None or not found.basis:
        return ""
    by = say(f"tradeoffs.tested_{found.basis}", count=found.seeds)
    return say("tradeoffs.tested_first_seed", by=by) if found.first_seed else by


def _spreads(points: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """How right answers are spread, in percent, as far as any point has it."""
    found: dict[str, pd.Series[Any]] = {name: 100 * points[name] for name in SPREAD if points[name].notna().any()}
    return found | ({"worst_class": points["worst_class"]} if "worst_recall" in found else {})


def columns() -> dict[str, ColumnConfig]:
    """How the table's columns are headed and written."""
    numbers = {n: st.column_config.NumberColumn(say(f"tradeoffs.column_{n}"), format=form) for n, form in FORMS.items()}
    texts = {
        n: st.column_config.TextColumn(say(f"tradeoffs.column_{n}"))
        for n in ("front", "stage", "backbone", "tags", "sample", "status", "spread_is", "tested", "worst_class")
    }
    wide = {
        n: st.column_config.TextColumn(say(f"tradeoffs.column_{n}"), width="medium")
        for n in ("name", "run", "chance", *CONDITIONS)
    }
    differences = {f"{n}_delta": st.column_config.NumberColumn(say(f"tradeoffs.column_{n}_delta")) for n in DELTAS}
    return {**numbers, **texts, **wide, **differences}


def worded(points: pd.DataFrame) -> pd.DataFrame:
    """The same columns as text under their words, for a page."""
    eyes = for_eyes(points)
    told = {
        name: [FORMS[name] % cell if cell == cell else "–" for cell in eyes[name]] if name in FORMS else eyes[name]
        for name in eyes
    }
    return pd.DataFrame(told).rename(columns={name: say(f"tradeoffs.column_{name}") for name in told})


def for_file(points: pd.DataFrame, found: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every column of the points as measured: shares of 1, bytes, milliseconds; further runtimes' in columns of their
    own. With the `deltas` from a pinned baseline also the difference of the test accuracies, and how many times faster
    each is with the spread of that; each with its verdict, and what that rests on or why there is none."""
    whole = points.assign(tags=points["tags"].map(BETWEEN_TAGS.join)).drop(
        columns=["turns", "elsewhere", "asked", "artifact"]
    )
    for further in further_runtimes(points):
        there = seen_in(points, further)
        whole = whole.assign(**{f"{further}_{name}": there[name] for name in FURTHER})
    if found is None:
        return whole
    faster = {name: found["speed"].map(lambda speed, name=name: getattr(speed, name, None)) for name in SPREAD_OF}
    told = {
        "delta_test": found["accuracy"],
        "delta_test_is": found["accuracy_is"],
        "delta_test_by": found["test_by"],
        **{f"times_faster{suffix}": faster[name].astype(float) for name, suffix in SPREAD_OF.items()},
        "times_faster_is": found["p50_is"],
        "times_faster_by": found["speed_by"],
    }
    return whole.join(pd.DataFrame(told))
