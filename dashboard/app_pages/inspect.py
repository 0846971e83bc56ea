"""Inspect: what a point gets wrong, and what became of its parent's answers."""

from __future__ import annotations

import streamlit as st

from dashboard import terms
from dashboard.i18n import say
from dashboard.inspect import evidence, picking, sentence
from dashboard.inspect.choice import Choice
from dashboard.inspect.views import VIEWS
from dashboard.session import put_query, query, widget


def main() -> None:
    choice = picking.chosen()
    if choice is None:
        return
    picking.write(choice)
    head(choice)
    view = chosen_view()
    terms.below(terms.of_words(f"inspect.view_{view}"))
    VIEWS[view](choice)


def head(choice: Choice) -> None:
    """The sentence on top, and what the test says of the difference."""
    pair = evidence.known(choice)
    with st.container(border=True, key="inspect_head", gap="xsmall"):
        st.markdown(sentence.of(choice, pair))
        if pair is not None and pair.flips is not None:
            st.caption(sentence.verdict(pair.flips))
        if pair is not None and pair.own.about.answered_anew:
            st.caption(say("inspect.anew", count=pair.own.about.answered_anew))


def chosen_view() -> str:
    """The view that the address names, else the first."""
    names = list(VIEWS)
    now = query("view", names) or names[0]
    key = f"inspect_view_{now}"  # a widget of its own for each: one that is set from here may answer its old value
    st.segmented_control(
        say("inspect.view"),
        names,
        default=now,
        required=True,
        format_func=lambda name: say(f"inspect.view_{name}"),
        key=key,
        on_change=_choose,
        args=(key,),
        label_visibility="collapsed",
    )
    return now


def _choose(key: str) -> None:
    put_query("view", widget(key, None))


main()
