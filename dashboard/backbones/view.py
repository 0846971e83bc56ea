"""The backbones as a chart, a table or cards, and what can be done with one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.catalog import Facts
from core.questions.time_backbones import TimeBackbonesRequest
from core.rules.networks import size_faults
from core.text import formatting
from core.text.escaping import UserText
from dashboard import components, engine_words
from dashboard.backbones.table import VERDICTS
from dashboard.charts import backbones as chart
from dashboard.data import asking
from dashboard.design import draft, draft_state
from dashboard.design.cards import backbone_line, verdict_line
from dashboard.design.draft import Draft
from dashboard.i18n import say
from dashboard.session import dark, read_only, set_widget, widget, workspace

WORK = "backbones.work"  # the slot of what a person asked for here
CHOSEN = "backbones_chosen"  # the menu of the network that is shown whole
FIRST = "efficientnet_lite0"  # its weights come with the program
WIDE = 270  # pixels of a card
MOST_CARDS = 24
MARKS = {"here": "●", "download": "○", "own": "✦", "none": "–"}


def scatter(table: pd.DataFrame) -> None:
    """Published accuracy against size, with the numbers."""
    points = chart.info(table)
    if points.empty:
        st.caption(say("backbones.nothing_drawn"))
        return
    names = {place: say(f"backbones.place_{place}") for place in chart.PLACES}
    drawn = chart.figure(points, say("backbones.axis_size"), say("backbones.axis_accuracy"), names, dark=dark())
    best = points.iloc[int(points["accuracy"].argmax())]
    alt = say("backbones.chart_alt", count=len(points), name=best["name"], accuracy=f"{best['accuracy']:.1f}")
    shown = points[["name", "place", "megabytes", "accuracy", "accuracy_at", "params", "macs", "licence"]]
    components.chart(drawn, shown, key="backbones_chart", alt=alt, file="backbones")
    st.caption(say("backbones.chart_note", missing=len(table) - len(points)))


def rows(table: pd.DataFrame) -> None:
    """All of them as a table or as cards."""
    shape = st.segmented_control(
        say("backbones.view"),
        ("table", "cards"),
        default="table",
        required=True,
        key="backbones_view",
        format_func=lambda name: say(f"backbones.view_{name}"),
        label_visibility="collapsed",
    )
    st.caption(f"{say('backbones.count', count=len(table))} · {say('backbones.unknown_means')}")
    if shape == "cards":
        _cards(table)
    else:
        told = _told(table).style.format(precision=2, na_rep="–", thousands=" ")
        st.dataframe(
            told,
            hide_index=True,
            key="backbones_table",
            alt=say("backbones.table_alt"),
            height=420,
            placeholder="–",
            column_config={"name": st.column_config.TextColumn(say("backbones.column_name"), pinned=True)},
        )


def _told(table: pd.DataFrame) -> pd.DataFrame:
    """The table as a person reads it: every number with its unit in the head or behind it."""
    told = {
        "name": table["name"],
        say("backbones.column_weights"): [where(row) for row in table.to_dict("records")],
        say("backbones.column_params"): (table["params"] / 1e6).round(2),
        say("backbones.column_macs"): (table["macs"] / 1e6).round(1),
        say("backbones.column_size"): table["megabytes"].round(2),
        say("backbones.column_accuracy"): table["accuracy"].astype(float).round(1),
        say("backbones.column_time"): table["milliseconds"].astype(float).round(2),
        say("backbones.column_side"): table["image_size"],
        **{say(f"backbones.{name}"): [_mark(value) for value in table[name]] for name in VERDICTS},
        say("backbones.column_licence"): [engine_words.told(licence) for licence in table["licence"]],
    }
    return pd.DataFrame(told)


def _mark(value: object) -> str:
    return say("backbones.unknown") if value is None else "✓" if value else "✗"


def where(row: dict[Any, Any]) -> str:
    """The mark and the words for where a row's weights are."""
    size = formatting.size(row["download_bytes"])
    return f"{MARKS[row['place']]} {say('backbones.weights_' + row['place'], size=size)}"


def _cards(table: pd.DataFrame) -> None:
    with st.container(horizontal=True, key="backbones_cards"):
        for number, row in enumerate(table.head(MOST_CARDS).to_dict("records")):
            with st.container(border=True, width=WIDE, gap="xxsmall", key=f"backbones_card_{number}"):
                st.markdown(f"**{UserText(row['name']).md()}**")
                st.caption(say("backbones.card", weights=where(row), size=formatting.size(1e6 * row["megabytes"])))
                st.button(
                    say("backbones.look"),
                    key=f"backbones_look_{number}",
                    type="tertiary",
                    on_click=look,
                    args=(row["name"],),
                )
    if len(table) > MOST_CARDS:
        st.caption(say("backbones.more_cards", shown=MOST_CARDS, count=len(table)))


def look(name: str) -> None:
    """Shows a network whole."""
    set_widget(CHOSEN, name)


def one(table: pd.DataFrame, backbones: dict[str, Facts]) -> None:
    """One network: what is known of it, its way into Design, its latency here."""
    names = list(table["name"])
    if not names:
        return
    if widget(CHOSEN, None) not in names:
        set_widget(CHOSEN, FIRST if FIRST in names else names[0])
    name = st.selectbox(say("backbones.choose"), names, key=CHOSEN)
    facts = backbones[name]
    with st.container(border=True, gap="small", key="backbones_one"):
        st.markdown(f"**{UserText(name).md()}** · {engine_words.md(facts['title'])}")
        st.caption(backbone_line(facts))
        if facts.get("accuracy_at"):
            st.caption(say("backbones.accuracy_at", side=facts["accuracy_at"]))
        st.caption(say("backbones.licence", licence=engine_words.md(str(facts["licence"]))))
        st.caption(verdict_line(name))
        with st.container(horizontal=True, key="backbones_one_actions"):
            if st.button(say("backbones.design"), type="primary", icon=":material/tune:", key="backbones_design"):
                design(name)
            st.button(
                say("backbones.time_one"),
                key="backbones_time_one",
                icon=":material/timer:",
                on_click=time_here,
                args=((name,),),
                disabled=busy(),
            )


def time_here(names: Sequence[str]) -> None:
    """Has these measured on this machine."""
    asking.begin(WORK, TimeBackbonesRequest(tuple(names)))


def busy() -> bool:
    """Whether nothing can be asked now."""
    return read_only() or asking.asked(WORK) is not None


def design(name: str) -> None:
    """Opens Design with this network; an image size at which it does not run becomes its own."""
    facts = workspace().catalog().backbone(name)

    def change(now: Draft) -> Draft:
        changed = draft.set_knob(now, "backbone", name)
        fits = not list(size_faults(changed.recipe.image_size, facts, name))
        return changed if fits else draft.set_knob(changed, "image_size", 0)

    draft_state.edit(change)
    st.switch_page("app_pages/design.py")
