"""Trade-offs: all points of all runs, the front among them, what differs between those a person picks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import blocks
from dashboard.tradeoffs import answers, choosing, filters, managing, picking, plotting
from dashboard.tradeoffs.stored import sample_points, stored
from dashboard.words import say

POLL = 3.0  # seconds between two looks for new points while a run is going on


def main() -> None:
    own = stored().table()
    watch(own)
    managing.news()
    samples = sample_points()
    samples = samples[~samples["run"].isin(own["run"])]
    view = filters.current()
    if own.empty:
        blocks.empty(
            say("tradeoffs.empty") if len(samples) else say("tradeoffs.empty_at_all"),
            say("tradeoffs.go_home"),
            "home",
            ":material/home:",
        )
    everything = pd.concat([own, samples], ignore_index=True) if len(samples) else own
    with_samples = own.empty if view.samples is None else view.samples
    pool = everything if with_samples else own
    if everything.empty:
        return
    same = filters.comparable(pool, view)
    choosing.axes(view)
    choosing.filters_of(view, pool, same, with_samples)
    points = filters.apply(same, view)
    explore(points, everything, view)
    filters.write(view)


def explore(points: pd.DataFrame, everything: pd.DataFrame, view: filters.View) -> None:
    """The chart and what can be afforded on the left, what is picked on the right, the table below."""
    picked = picking.chosen(everything, view)
    left, right = st.columns([2, 1], gap="medium")
    if points.empty:
        left.info(say("tradeoffs.nothing"), icon=":material/filter_alt_off:")
    else:
        with left:
            table = plotting.show(points, everything, view)
            choosing.affordable(points, everything, view)
            plotting.show_parallel(points)
            picking.differences(picked)
            answers.show(picked)
    with right:
        picking.show(picked, view)
        runs = [str(run) for run in pd.unique(picked["run"][~picked["sample"]])]
        managing.show(runs, filters.tags(everything))
    if len(points):
        plotting.show_table(table, view)


def watch(seen: pd.DataFrame) -> None:
    """Draws the page anew when a run that is going on has measured something."""

    @st.fragment(run_every=POLL)
    def look() -> None:
        if stored().table() is not seen:
            st.rerun()

    if stored().is_going():
        look()


main()
