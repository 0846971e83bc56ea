"""One term of the glossary as the page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile

import streamlit as st

from core.catalog import load_catalog
from core.options import Words
from core.recipe_options import RECIPE_OPTIONS
from core.text.glossary import Glossary, Term
from dashboard.i18n import language, say, spoken
from dashboard.terms import link

MOST_KNOBS = 6
LEAST_STEM, LONGEST_ENDING = 4, 3  # letters of words that only inflect each other


def key(ident: str) -> str:
    """The key of a term's container, a class of its element with `st-key-` before it."""
    return f"glossary_term_{ident}"


def show(term: Term, glossary: Glossary, *, chosen: bool) -> None:
    """The term with its name in the other language, its text and where it leads; framed if it is the `chosen` one."""
    with st.container(border=chosen, gap="xxsmall", key=key(term.id)):
        st.markdown("  \n".join((_head(term), spoken(term.text))))
        if more := list(_more(term, glossary)):
            st.caption("  \n".join(more))


def _head(term: Term) -> str:
    other = term.name.en if language() == "zh" else term.name.zh
    name = spoken(term.name)
    return f"**{name}**" if other == name else f"**{name}** · {other}"


def _more(term: Term, glossary: Glossary) -> Iterator[str]:
    if others := others_of(term.names(language())):
        yield say("glossary.also", names=" · ".join(others))
    if knobs := _knobs(term):
        more = f" +{len(knobs) - MOST_KNOBS}" if len(knobs) > MOST_KNOBS else ""
        yield say("glossary.knobs", names=" · ".join(knobs[:MOST_KNOBS]) + more)
    related = " · ".join(link(glossary.terms[other]) for other in term.see)
    last = [say("glossary.see", terms=related)] if related else []
    if term.source:
        paper, address = term.source
        last.append(say("glossary.source", paper=paper, address=address))
    if last:
        yield " — ".join(last)


def others_of(names: Sequence[str]) -> list[str]:
    """The names after the first, without those that only inflect one before: `fine-tuned`, `channels`."""
    shown = [names[0]]
    for name in names[1:]:
        if not any(_inflects(name.lower(), other.lower()) for other in shown):
            shown.append(name)
    return shown[1:]


def _inflects(name: str, other: str) -> bool:
    stem = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False))))
    return name.isascii() and stem >= LEAST_STEM and stem >= max(len(name), len(other)) - LONGEST_ENDING


def _knobs(term: Term) -> list[str]:
    """What the knobs that it explains are called, each once, with their stage."""
    named = (
        say("glossary.knob", name=spoken(title), stage=_stage(place))
        for place, title in _titles().items()
        if term.explains(place)
    )
    return list(dict.fromkeys(named))


def _stage(place: str) -> str:
    stage = place.partition(".")[0]
    return say("glossary.of_recipe") if stage == "recipe" else say(f"design.stage_{stage}")


@cache
def _titles() -> Mapping[str, Words]:
    """The title of every knob and method by its place."""
    found = {f"recipe.{option.name}": option.title for option in RECIPE_OPTIONS}
    for stage, methods in load_catalog().methods.items():
        for name, entry in methods.items():
            found[f"{stage}.{name}"] = entry.title
            found |= {f"{stage}.{name}.{option.name}": option.title for option in entry.options}
    return found
