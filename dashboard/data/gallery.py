"""The datasets there are: one's own, those that come with the program, those on this machine, those to download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.catalog import Facts, load_catalog
from core.questions.dataset_fetch import FetchRequest
from core.questions.dataset_samples import SamplesRequest
from core.text import formatting
from core.text.escaping import UserText
from core.workspace_files.report_cache import kept_picture
from dashboard.data import asking, card, news
from dashboard.data.asking import WORK
from dashboard.design import cards
from dashboard.i18n import say
from dashboard.session import put_query, read_only, recall, remember, workspace

SLOT, TRIED = "data.samples", "data.samples_tried"
WIDE = 364  # pixels of a card: three next to each other in a window of 1280
SECTIONS = ("bundled", "disk", "download")


def own(sets: Mapping[str, Facts], chosen: str | None) -> None:
    """The sets a person imported, to be opened."""
    if not sets:
        return
    st.subheader(say("data.section_own"), anchor=False)
    with st.container(horizontal=True, key="data_own"):
        for number, (name, facts) in enumerate(sets.items()):
            with st.container(border=True, width=WIDE, height="stretch", gap="xsmall", key=f"data_own_{number}"):
                _picture(name)
                st.markdown(f"**{UserText(name).md()}**")
                st.caption(_counts(facts))
                st.button(
                    say("data.shown") if name == chosen else say("data.open"),
                    key=f"data_open_{number}",
                    on_click=open_set,
                    args=(name,),
                    disabled=name == chosen,
                )


def open_set(name: str) -> None:
    """Puts a set on the page."""
    news.dismiss()
    put_query(news.CHOSEN, name)


def of_catalog() -> None:
    """The sets everybody has, by where they are."""
    known = load_catalog().datasets
    by_place: dict[str, list[Facts]] = {place: [] for place in SECTIONS}
    for facts in known.values():
        by_place[cards.where(facts)].append(facts)
    _want([str(facts["name"]) for place in ("bundled", "disk") for facts in by_place[place]])
    for place in SECTIONS:
        if by_place[place]:
            st.subheader(say(f"data.section_{place}"), anchor=False)
            if place == "download":
                st.caption(say("data.download_help"))
            with st.container(horizontal=True, key=f"data_{place}"):
                for facts in sorted(by_place[place], key=lambda one: str(one["title"])):
                    _card(facts, place)


def _card(facts: Facts, place: str) -> None:
    name = str(facts["name"])
    with st.container(border=True, width=WIDE, height="stretch", gap="xsmall", key=f"data_set_{name}"):
        if place != "download":
            _picture(name)
        st.markdown(f"**{UserText(cards.title(facts)).md()}**")
        st.caption(cards.data_line(facts))
        with st.container(horizontal=True, vertical_alignment="center"):
            if place == "download":
                st.button(
                    say("data.fetch", size=formatting.size(facts.get("download_bytes"))),
                    key=f"data_fetch_{name}",
                    icon=":material/download:",
                    on_click=fetch,
                    args=(name,),
                    disabled=read_only() or asking.asked(WORK) is not None,
                )
            if st.button(say("data.design"), key=f"data_design_{name}", icon=":material/tune:", type="tertiary"):
                card.design(name)


def fetch(name: str) -> None:
    """Downloads a set."""
    news.dismiss()
    asking.begin(WORK, FetchRequest(name))


def _counts(facts: Facts) -> str:
    classes = say("data.no_labels") if facts.get("unlabelled") else say("data.classes", count=facts["classes"])
    return " · ".join((say("data.images", count=facts["images"]), classes))


def _picture(name: str) -> None:
    picture = kept_picture(workspace(), name, "samples")
    if picture is not None:
        st.image(picture, width="stretch", alt=say("data.strip_alt", name=UserText(name).plain()))


def _want(names: Sequence[str]) -> None:
    """Asks once for the samples that nobody has drawn yet, where somebody is there to draw them."""
    asking.outcome(SLOT)
    tried: tuple[str, ...] = recall(TRIED, ())
    missing = [name for name in names if name not in tried and kept_picture(workspace(), name, "samples") is None]
    if missing and asking.asked(SLOT) is None and not read_only() and asking.attended():
        remember(TRIED, (*tried, *missing))
        asking.begin(SLOT, SamplesRequest(missing))
    asking.watch(SLOT, quiet=True)
