"""Data: one's own images on their way in, what they are worth before any training, and every other dataset."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.catalog import Facts
from core.errors import UserError
from core.own.datasets import damaged_datasets, imported_datasets
from dashboard import components
from dashboard.data import adding, asking, card, gallery, news
from dashboard.i18n import say
from dashboard.session import raw_query, workspace


def main() -> None:
    asking.adopt()
    news.take()
    sets = imported_datasets(workspace().datasets)
    chosen = the_chosen(sets)
    news.show()
    asking.watch(asking.WORK)
    if chosen is not None:
        card.show(chosen)
    if sets:
        with st.expander(say("data.add_more"), icon=":material/add_photo_alternate:", key="data_add"):
            adding.panel(sets, first=False)
    else:
        with st.container(border=True, key="data_add"):
            st.subheader(say("data.bring"), anchor=False)
            adding.panel({}, first=True)
    gallery.own(sets, chosen)
    for home in damaged_datasets(workspace().datasets):
        st.warning(say("data.damaged", folder=home.name), icon=":material/healing:")
    gallery.of_catalog()


def the_chosen(sets: Mapping[str, Facts]) -> str | None:
    """The set that the address names, else the only one; says so where there is none of that name."""
    asked = raw_query(news.CHOSEN)
    if asked in sets:
        return asked
    if asked is not None:
        components.refused(UserError("unknown_dataset", "dataset", asked, "a dataset of your own", say("data.gone")))
    return next(iter(sets)) if len(sets) == 1 else None


main()
