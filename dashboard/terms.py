"""Links to the glossary: from a knob, from the words of a page, from a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import streamlit as st

from core.text.glossary import Term, load_glossary
from dashboard.addresses import address_of
from dashboard.i18n import language, say, spoken
from dashboard.session import Language

MOST = 8  # links below a text


def link(term: Term) -> str:
    """A link to the term, for Markdown. `frame.js` follows it in the same window and session."""
    return f"[{spoken(term.name)}]({address_of('glossary')}?term={term.id}&lang={language()})"


def links(terms: Sequence[Term]) -> str:
    """Links in a row, behind a word that says where they lead; empty where there is no term."""
    return say("glossary.links", terms=" · ".join(map(link, terms))) if terms else ""


def of_option(place: str) -> str:
    """Links for the method `stage.method`, or the knob `stage.method.option` or `recipe.option`."""
    return links(_explaining(place))


def of_words(*keys: str) -> str:
    """Links for the phrases of these keys, such as the names of numbers."""
    return links(load_glossary().of_words(keys))


def of_text(text: str, most: int = MOST) -> str:
    """Links for the terms that occur in a text, the first ones where there are many."""
    return links(_found(text, language())[:most])


@cache
def _explaining(place: str) -> tuple[Term, ...]:
    return load_glossary().of_option(place)


@lru_cache(maxsize=256)
def _found(text: str, chosen: Language) -> tuple[Term, ...]:
    return load_glossary().of_text(text, chosen)


def below(told: str) -> None:
    """Links in small print below what they explain; nothing where there are none."""
    if told:
        st.caption(told)


def with_help(text: str, *keys: str) -> str:
    """A help text, and below it the links for the phrases of these keys."""
    return "\n\n".join(filter(None, (text, of_words(*keys))))
