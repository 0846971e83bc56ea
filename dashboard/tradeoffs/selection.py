"""The panel next to the chart of Trade-offs: the picked points, what differs between them, what to do with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from core import runtimes
from core.catalog import load_catalog
from core.comparison.difference import Difference
from core.comparison.speed import Speed
from core.options import Option, Value
from core.recipe_options import RECIPE_OPTIONS
from core.text import formatting
from core.text.escaping import UserText
from dashboard import bundle, chance, closing, machines, receipt, sending, terms
from dashboard.charts import hover
from dashboard.charts.comparison import (
    CONTROL,
    METHOD,
    RECIPE,
    Change,
    Delta,
    Setting,
    changes,
    settings,
)
from dashboard.charts.front import HEIGHT
from dashboard.charts.points import SPREAD, spread
from dashboard.charts.style import MARKS
from dashboard.components import TEXT_COLORS
from dashboard.design import draft_state
from dashboard.i18n import control_name, named, named_point, say, spoken, template
from dashboard.option_words import told, told_of
from dashboard.session import recall
from dashboard.tradeoffs import manage_runs, view_state
from dashboard.tradeoffs.pairs import delta, point_of, run_of
from dashboard.tradeoffs.points_cache import recipe
from dashboard.tradeoffs.view_state import View

MOST_CARDS = 6  # points compared with each other; more do not fit into a panel
PANEL = HEIGHT + 60  # pixels: as high as the chart with its legend, whatever is picked
Given = dict[Setting, Value]
PointRow = pd.Series  # one row of the points


def show(picked: pd.DataFrame, view: View, known_tags: Sequence[str]) -> None:
    """The picked points as cards, each compared with the first of them: the baseline, if one is pinned. The panel
    keeps its height, so that what is below it stays where it is."""
    with st.container(height=PANEL, border=False, key="tradeoffs_panel"):
        cards(picked, view)
        if len(picked):
            runs = [str(run) for run in pd.unique(picked["run"][~picked["sample"]])]
            manage_runs.show(runs, known_tags)


def cards(picked: pd.DataFrame, view: View) -> None:
    """How many are picked, and a card for each."""
    selected = int(picked["id"].isin(view.sel).sum())
    with st.container(horizontal=True, vertical_alignment="center", key="tradeoffs_picked"):
        st.subheader(say("tradeoffs.selection", count=selected), anchor=False, width="content")
        if view.sel or view.base:
            st.button(
                say("tradeoffs.clear"), key="tradeoffs_clear", type="tertiary", on_click=clear, icon=":material/close:"
            )
    if left_out := recall("tradeoffs.left_out", 0):
        st.warning(say("tradeoffs.selection_left_out", count=left_out, most=view_state.MOST_SELECTED))
    if picked.empty:
        st.caption(say("tradeoffs.selection_none"))
        return
    beside = picked.iloc[0]
    if len(picked) > 1:
        pinned = beside["id"] == view.base
        st.caption(say("tradeoffs.reference_pinned" if pinned else "tradeoffs.reference"))
    for number, (_, row) in enumerate(picked.head(MOST_CARDS).iterrows(), start=1):
        card(number, row, beside, view)
    if len(picked) > MOST_CARDS:
        st.caption(say("tradeoffs.selection_more", count=len(picked) - MOST_CARDS, most=MOST_CARDS))
    closing.show_picked(picked.head(MOST_CARDS))


def chosen(points: pd.DataFrame, view: View) -> pd.DataFrame:
    """The rows of the baseline, if one is pinned, and of the selection, in the order they were picked."""
    order = {ident: place for place, ident in enumerate(dict.fromkeys([view.base, *view.sel]))}
    rows = points[points["id"].isin(order)]
    return rows.sort_values("id", key=lambda ids: ids.map(order))


def clear() -> None:
    view_state.select(())
    view_state.alter(base="")


# a card


def card(number: int, row: PointRow[Any], beside: PointRow[Any], view: View) -> None:
    """One point: its figures, what it gains and loses beside the first one, and what can be done with it."""
    pinned = row["id"] == view.base
    with st.container(border=True, gap="small", key=f"tradeoffs_card_{number}"):
        badge = f" :gray-badge[{say('tradeoffs.baseline')}]" if pinned else ""
        word = say("tradeoffs.sample") + " " if row["sample"] else ""
        luck = f" {chance.badge()}" if row["at_chance"] else ""
        st.markdown(f"{number} {title(row)}{badge}  \n{word}{UserText(row['run_name']).md()}  \n{figures(row)}{luck}")
        st.caption(UserText(spread_line(row)).md()) if spread_line(row) else None
        if row["id"] != beside["id"]:
            st.caption("  \n".join(gains(delta(row, beside))))
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            actions(number, row, pinned)
        if is_packable(row):
            bundle.box(str(row["run"]), int(row["step"]), f"tradeoffs_bundle_{number}")


def title(row: PointRow[Any]) -> str:
    """The point's mark in its stage's colour, and its name."""
    stage = str(row["stage"])
    named = named_point(f"**{UserText(name(row)).md()}**", control=bool(row["control"]))
    return f":{TEXT_COLORS.get(stage, 'gray')}[{MARKS.get(stage, '○')}] {named}"


def name(row: PointRow[Any]) -> str:
    """What the point is called in the person's language, not escaped."""
    return named(str(row["stage"]), str(row["method"]), str(row["name"]))


def figures(row: PointRow[Any]) -> str:
    """Test accuracy, size and latency; of a further runtime with its name, or that the file was not measured in it."""
    size = formatting.size(None if pd.isna(row["bytes"]) else row["bytes"])
    if row["asked"] and not row["runtime"]:
        return f"{size} · {say('tradeoffs.not_measured_in', runtime=runtimes.title(row['asked']))}"
    where = [runtimes.title(row["asked"])] if row["asked"] else []
    return " · ".join([accuracy(row), size, hover.milliseconds(row["p50"], row["noisy"]), *where])


def spread_line(row: PointRow[Any]) -> str:
    """How its right answers are spread, not escaped; what was not measured is left out."""
    known = [name for name in SPREAD if name != "worst_recall" and not pd.isna(row[name])]
    keys = {name: f"{name}_subject" if row["control"] and name == "agreement" else name for name in known}
    parts = [say(f"tradeoffs.short_{keys[name]}", share=formatting.percent(row[name])) for name in known]
    if not pd.isna(row["worst_recall"]):
        share = formatting.percent(row["worst_recall"], 0)
        parts.append(say("tradeoffs.short_worst", name=row["worst_class"], share=share))
    return " · ".join(parts)


def accuracy(row: PointRow[Any]) -> str:
    """The test accuracy with its ±, and what the ± is."""
    return hover.plus_minus(row["accuracy"], spread(row.to_frame().T).iloc[0], row["seeds"], spread_words())


def spread_words() -> hover.Spread:
    """What ± is, in the person's language."""
    words = (template(f"tradeoffs.spread_{name}") for name in ("interval", "seeds", "form"))
    return hover.Spread(*words)


def gains(found: Delta) -> list[str]:
    """What a point gains and loses, a line each; of the test accuracy with the verdict and how it was reached."""
    lines = [say("tradeoffs.other_data")] if found.other_data else []
    lines += [test_told(found.test, "delta")] if found.test is not None else []
    if found.validation is not None:
        lines.append(say("tradeoffs.delta_validation", points=signed(found.validation)))
    ratios = [say("tradeoffs.delta_bytes", times=formatting.two_digits(found.bytes))] if found.bytes is not None else []
    ratios += [ratio] if (ratio := latency_told(found.speed)) else []
    withheld = [withheld_told(found.speed)] if found.speed is not None and found.speed.withheld else []
    return [*lines, " · ".join(ratios), *withheld] if ratios else [*lines, *withheld]


def latency_told(speed: Speed | None) -> str:
    """The ratio of two latencies, how it was measured and how far it spreads; empty where there is none."""
    if speed is None or speed.times is None:
        return ""
    cost = speed.inverse()
    low, high = formatting.ends(cost.low, cost.high) or ("", "")
    how = say(f"tradeoffs.by_{speed.basis}{'_spread' if low else ''}", low=low, high=high)
    return say("tradeoffs.delta_latency", times=formatting.two_digits(cost.times or 0.0), how=how)


def withheld_told(speed: Speed) -> str:
    """Why two latencies are not compared, and which conditions differ."""
    return say(f"tradeoffs.withheld_{speed.withheld}", names=machines.names(speed.unlike))


def test_told(found: Difference, sentence: str) -> str:
    """The phrase `sentence` about a difference of test accuracies, with its verdict."""
    of = "first_seed" if found.first_seed else "test"
    return say(f"tradeoffs.{sentence}_{of}", points=signed(found.share), verdict=closing.verdict(found))


def signed(share: float) -> str:
    """A difference of shares in points of percent, with its sign."""
    points = round(100 * share, 1)
    return f"{points:+.1f}".replace("-", "−") if points else "±0.0"


def actions(number: int, row: PointRow[Any], pinned: bool) -> None:
    """Pin, take out, open the run, start a recipe from it, read its receipt."""
    ident, run, came = str(row["id"]), str(row["run"]), bool(row["sample"])
    st.button(
        say("tradeoffs.unpin") if pinned else say("tradeoffs.pin"),
        key=f"tradeoffs_pin_{number}",
        icon=":material/keep_off:" if pinned else ":material/keep:",
        type="tertiary",
        help=terms.with_help(say("tradeoffs.pin_help"), "tradeoffs.pin"),
        on_click=pin,
        args=("" if pinned else ident,),
    )
    if not came:
        st.page_link(
            "app_pages/live.py",
            label=say("tradeoffs.open"),
            icon=":material/monitoring:",
            query_params={"run": run},
        )
        st.page_link(
            "app_pages/inspect.py",
            label=say("tradeoffs.inspect"),
            icon=":material/troubleshoot:",
            query_params={"run": run, "point": ident.partition(":")[2]},
            help=say("tradeoffs.inspect_help"),
        )
    source = {"sample" if came else "from": run}
    st.page_link(
        "app_pages/design.py",
        label=say("tradeoffs.variant"),
        icon=":material/tune:",
        query_params=source,
        help=say("tradeoffs.variant_help"),
    )
    if not came:
        st.page_link(
            "app_pages/tryit.py",
            label=say("tradeoffs.try_it"),
            icon=":material/draw:",
            query_params={"sel": ident},
            help=say("tradeoffs.try_it_help"),
        )
    if is_packable(row):
        bundle.button(run, int(row["step"]), f"tradeoffs_bundle_{number}")
    if not came:
        sending.button(run, f"tradeoffs_send_{number}")
    with st.popover(say("tradeoffs.receipt"), icon=":material/receipt_long:", type="tertiary"):
        if (run_here := run_of(row)) is not None and (point := point_of(row)) is not None:
            receipt.show(point, title(row), run_here.summary().environment)


def is_packable(row: PointRow[Any]) -> bool:
    """Whether its model can be taken away: that of a run of one's own, and no control's."""
    return not row["sample"] and not row["control"]


def design_towards(row: PointRow[Any], key: str) -> None:
    """Opens Design with the recipe of the point, up to its step, as the draft."""
    found = recipe(row["run"], sample=bool(row["sample"]))
    pressed = st.button(
        say("tradeoffs.design_towards"),
        key=key,
        icon=":material/tune:",
        type="tertiary",
        disabled=found is None,
        help=say("tradeoffs.design_towards_help" if found else "tradeoffs.design_towards_unreadable"),
    )
    if pressed and found is not None:
        towards = replace(found, steps=found.steps[: int(row["step"]) + 1])
        draft_state.load(towards.to_toml(), "" if row["sample"] else str(row["run"]))
        st.switch_page("app_pages/design.py")


def pin(ident: str) -> None:
    """Makes a point the one that others are compared with; it stays visible although it is not selected."""
    view_state.alter(base=ident)


# settings


def differences(picked: pd.DataFrame) -> None:
    """A table of the settings on which the picked points differ, a column a point; nothing for fewer than two."""
    picked = picked.head(MOST_CARDS)
    if len(picked) < 2:
        return
    st.subheader(say("tradeoffs.settings"), anchor=False)
    for _, row in picked.iterrows():
        if settings_of(row) is None:
            st.caption(say("tradeoffs.settings_unreadable", name=UserText(row["run_name"]).md()))
    table = changed(picked)
    if table.empty:
        st.caption(say("tradeoffs.settings_same"))
        return
    wide = {str(number): st.column_config.TextColumn(width=150) for number in table.columns[1:]}
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config=wide,
        key="tradeoffs_settings",
        alt=say("tradeoffs.settings"),
    )


def changed(picked: pd.DataFrame) -> pd.DataFrame:
    """The settings on which the points differ, a row a setting, a column a point whose recipe can be read."""
    given = {str(n): settings_of(row) for n, (_, row) in enumerate(picked.iterrows(), start=1)}
    known = {number: found for number, found in given.items() if found is not None}
    rows = [
        [label(change), *(plain(change.setting, value) for value in change.values)]
        for change in changes(list(known.values()))
    ]
    return pd.DataFrame(rows, columns=[say("tradeoffs.setting"), *known])


def settings_of(row: PointRow[Any]) -> Given | None:
    """Everything that led to a point; None where its recipe cannot be read."""
    found = recipe(row["run"], sample=bool(row["sample"]))
    if found is None:
        return None
    return settings(found, int(row["step"]), str(row["name"]) if row["control"] else "")


def label(change: Change) -> str:
    """Where a setting belongs and what it is called."""
    setting = change.setting
    if setting.step == RECIPE:
        return f"{say('tradeoffs.of_recipe')} · {words_of(setting, change.values)}"
    mark = MARKS.get(setting.stage, "")
    return f"{say('tradeoffs.of_step', mark=mark, step=setting.step + 1)} · {words_of(setting, change.values)}".strip()


def words_of(setting: Setting, values: tuple[Value | None, ...] = ()) -> str:
    """The setting's own words, from the catalog."""
    if setting.name in (METHOD, CONTROL) and not setting.stage:
        return say(f"tradeoffs.{setting.name}")
    found = option_of(setting)
    return spoken(found.title) if found else setting.name


def option_of(setting: Setting) -> Option | None:
    """The option behind a setting; None where the catalog no longer has it."""
    if setting.step == RECIPE:
        options = RECIPE_OPTIONS
    else:
        menu = load_catalog().methods.get(setting.stage, {})
        options = tuple(option for entry in menu.values() for option in entry.options)
    return next((option for option in options if option.name == setting.name), None)


def plain(setting: Setting, value: Value | None) -> str:
    """A setting's value; of a method its name in the person's language."""
    if value is None:
        return formatting.NOT_MEASURED
    if setting.name == METHOD and not setting.stage:
        stage, _, name = str(value).partition(".")
        entry = load_catalog().methods.get(stage, {}).get(name)
        return f"{MARKS.get(stage, '○')} {spoken(entry.title)}" if entry else str(value)
    if setting.name == CONTROL and not setting.stage:
        return control_name(str(value))
    if value == "":
        return say("tradeoffs.value_none")
    option = option_of(setting)
    return told_of(option, value) if option else told(value)
