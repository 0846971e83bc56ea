"""Glossary: every term of the field in the sense in which this program uses it, to be found by name or by topic."""

from __future__ import annotations

import streamlit as st

from core.text.escaping import UserText
from core.text.glossary import Glossary, Term, load_glossary
from dashboard.glossary import entry, into_view
from dashboard.i18n import say, spoken
from dashboard.session import put_query, query, raw_query, set_widget, widget

ALL = "all"
LONGEST = 60  # characters of what is looked for


def main() -> None:
    glossary = load_glossary()
    chosen = query("term", list(glossary.terms))
    if chosen is None and raw_query("term"):
        st.info(say("glossary.unknown"), icon=":material/help:")
    st.caption(say("glossary.about"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="glossary_controls"):
        wanted, topic = controls(glossary, chosen or "")
    found = shown(glossary, wanted, topic)
    if wanted:
        key = "glossary.found" if found else "glossary.nothing"
        st.markdown(say(key, count=len(found), wanted=UserText(wanted).md()))
    else:
        st.caption(say("glossary.count", count=len(found)))
    with st.container(width=760, gap="medium", key="glossary_terms"):
        for term in found:
            entry.show(term, glossary, chosen=term.id == chosen)
    if chosen:
        into_view.scroll(entry.key(chosen))


def controls(glossary: Glossary, chosen: str) -> tuple[str, str]:
    """What is looked for and the topic. Another term in the address makes other widgets, which show all terms."""
    text, topic = f"glossary_find_{chosen}", f"glossary_topic_{chosen}"
    wanted: str = st.text_input(
        say("glossary.find"),
        max_chars=LONGEST,
        placeholder=say("glossary.find_example"),
        key=text,
        width=280,
        icon=":material/search:",
        on_change=_let_go,
        args=(text, topic),
    )
    titles = {ALL: say("glossary.order_all"), **{name: spoken(words) for name, words in glossary.topics.items()}}
    among: str | None = st.segmented_control(
        say("glossary.order"),
        list(titles),
        default=ALL,
        required=True,
        wrap=True,
        key=topic,
        format_func=lambda name: titles[name],
        on_change=_let_go,
        args=(text, topic),
    )
    return wanted.strip(), among or ALL


def _let_go(text: str, topic: str) -> None:
    """The address names a term no longer once a person looks for others; what they set goes on to the new widgets."""
    found, among = widget(text, ""), widget(topic, ALL)
    if query("term", list(load_glossary().terms)):
        put_query("term", None)
        set_widget("glossary_find_", found)
        set_widget("glossary_topic_", among)


def shown(glossary: Glossary, wanted: str, topic: str) -> list[Term]:
    """The terms of the topic that hold what is wanted: those named so first, then by their English names."""
    small = wanted.lower()
    found = [term for term in glossary.terms.values() if topic in (ALL, term.topic) and term.has(small)]
    return sorted(found, key=lambda term: (bool(small) and not _named(term, small), term.name.en.lower()))


def _named(term: Term, small: str) -> bool:
    return any(name.lower().startswith(small) for name in (*term.names("en"), *term.names("zh")))


main()
