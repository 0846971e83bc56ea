"""The fields by which a person narrows the backbones down."""

from __future__ import annotations

import streamlit as st

from dashboard.backbones.table import SORTS, VERDICTS, Wish
from dashboard.i18n import say


def ask() -> Wish:
    """What the fields say."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="backbones_filters"):
        text = st.text_input(
            say("backbones.search"),
            key="backbones_text",
            max_chars=80,
            width=220,
            placeholder=say("backbones.search_example"),
        )
        megabytes = st.number_input(
            say("backbones.at_most_size"),
            0.01,
            10_000.0,
            None,
            1.0,
            key="backbones_size",
            width=150,
            help=say("backbones.at_most_help"),
            format="%g",
            placeholder=say("backbones.no_limit"),
        )
        milliseconds = st.number_input(
            say("backbones.at_most_time"),
            0.01,
            10_000.0,
            None,
            1.0,
            key="backbones_time",
            width=150,
            help=say("backbones.time_help"),
            format="%g",
            placeholder=say("backbones.no_limit"),
        )
        sort = st.selectbox(
            say("backbones.sort"),
            SORTS,
            key="backbones_sort",
            width=170,
            format_func=lambda name: say(f"backbones.sort_{name}"),
        )
    with st.container(horizontal=True, vertical_alignment="center", key="backbones_switches"):
        can = st.pills(
            say("backbones.can"),
            VERDICTS,
            selection_mode="multi",
            key="backbones_can",
            label_visibility="collapsed",
            format_func=lambda name: say(f"backbones.{name}"),
            width="content",
        )
        here = st.toggle(say("backbones.only_here"), key="backbones_here")
        free = st.toggle(say("backbones.only_free"), key="backbones_free", help=say("backbones.only_free_help"))
    return Wish(text, megabytes or 0.0, milliseconds or 0.0, tuple(can), here, free, sort)
