"""Backbones: every network to begin with, what it costs, what can be done to it, and which one suits one's data."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from core.catalog import Facts
from core.hardware.backbone_times import times
from core.own.models import PREFIX, damaged_networks
from core.rules.preflight import preflight
from dashboard.backbones import filters, news, own, ranking, table, view
from dashboard.data import asking
from dashboard.i18n import say
from dashboard.session import workspace

MOST_TIMED = 12  # networks measured at one press


def main() -> None:
    news.take()
    catalog = workspace().catalog()
    backbones = dict(catalog.backbones)
    here = news.here(list(backbones))
    news.show()
    asking.watch(view.WORK)
    wish = filters.ask()
    whole = table.info(backbones, preflight(), here, times(workspace().cache))
    shown = table.wanted(whole, wish)
    if shown.empty:
        st.info(say("backbones.nothing"), icon=":material/filter_alt_off:")
    view.one(shown, backbones)
    view.scatter(shown)
    view.rows(shown)
    untimed = shown[shown["milliseconds"].isna()]["name"].head(MOST_TIMED)
    if len(untimed):
        st.button(
            say("backbones.time_all", count=len(untimed)),
            key="backbones_time_all",
            icon=":material/timer:",
            on_click=view.time_here,
            args=(list(untimed),),
            disabled=view.busy(),
            help=say("backbones.time_all_help"),
        )
    _folds(backbones, here)
    asking.watch(news.SLOT, quiet=True)


def _folds(backbones: dict[str, Facts], here: Collection[str]) -> None:
    known = workspace().catalog().datasets
    sets = {name: known[name] for name in sorted(known, key=lambda name: ranking.nearness(known[name]))}
    with st.expander(say("backbones.rank_title"), icon=":material/leaderboard:", key="backbones_rank_fold"):
        at_hand = [name for name, facts in backbones.items() if table.place(facts, here) in ("here", "own")]
        ranking.show([name for name, facts in backbones.items() if facts["weights"] != "none"], at_hand, sets)
    with st.expander(say("backbones.import_title"), icon=":material/upload:", key="backbones_import_fold"):
        own.importing([name for name in backbones if not name.startswith(PREFIX)])
    with st.expander(say("backbones.timm_title"), icon=":material/search:", key="backbones_timm_fold"):
        own.searching()
    own.listed(backbones)
    for home in damaged_networks(workspace().models):
        st.warning(say("backbones.damaged", folder=home.name), icon=":material/healing:")


main()
