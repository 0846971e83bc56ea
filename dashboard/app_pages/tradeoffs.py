"""Trade-offs: all points of all runs, the front among them, what differs between those a person picks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import components
from dashboard.i18n import say
from dashboard.tradeoffs import answers, chart, controls, manage_runs, selection, view_state
from dashboard.tradeoffs.points_cache import sample_points, stored

POLL = 3.0  # seconds between two looks for new points while a run is going on


def main() -> None:
    own = stored().table()
    watch(own)
    manage_runs.news()
    samples = sample_points()
    samples = samples[~samples["run"].isin(own["run"])]
    view = view_state.current()
    if own.empty:
        components.empty(
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
    same = view_state.comparable(pool, view)
    controls.axes(view)
    controls.filters_of(view, pool, same, with_samples)
    points = view_state.apply(same, view)
    explore(points, everything, view)
    view_state.write(view)


def explore(points: pd.DataFrame, everything: pd.DataFrame, view: view_state.View) -> None:
    """The chart and what can be afforded on the left, what is picked on the right, the table below."""
    picked = selection.chosen(everything, view)
    left, right = st.columns([2, 1], gap="medium")
    if points.empty:
        left.info(say("tradeoffs.nothing"), icon=":material/filter_alt_off:")
    else:
        with left:
            table = chart.show(points, everything, view)
            controls.affordable(points, everything, view)
            chart.show_parallel(points)
            selection.differences(picked)
            answers.show(picked)
    with right:
        selection.show(picked, view)
        runs = [str(run) for run in pd.unique(picked["run"][~picked["sample"]])]
        manage_runs.show(runs, view_state.tags(everything))
    if len(points):
        chart.show_table(table, view)


def watch(seen: pd.DataFrame) -> None:
    """Draws the page anew when a run that is going on has measured something."""

    @st.fragment(run_every=POLL)
    def look() -> None:
        if stored().table() is not seen:
            st.rerun()

    if stored().is_going():
        look()


main()
