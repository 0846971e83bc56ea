"""Trade-offs: all points of all runs, the front among them, what differs between those a person picks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import components
from dashboard.charts import front
from dashboard.charts.points import further_runtimes, seen_in
from dashboard.i18n import say
from dashboard.tradeoffs import answers, chart, controls, knob_filter, manage_runs, selection, view_state
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
    runtimes = further_runtimes(everything)
    everything = seen_in(everything, view_state.runtime_of(everything, view))
    with_samples = own.empty if view.samples is None else view.samples
    pool = everything if with_samples else everything[~everything["sample"]]
    if everything.empty:
        return
    same = view_state.comparable(pool, view)
    controls.axes(view, same, runtimes)
    controls.filters_of(view, pool, same, with_samples)
    points = knob_filter.apply(view_state.apply(same, view), view)
    explore(on_front(points, view), everything, view)
    view_state.write(view)


def on_front(points: pd.DataFrame, view: view_state.View) -> pd.DataFrame:
    """The points on the front alone, where a person wants no others."""
    if not view.front:
        return points
    leading = front.info(points, view.axes)["front"]
    return points.loc[leading.index[leading]]


def explore(points: pd.DataFrame, everything: pd.DataFrame, view: view_state.View) -> None:
    """The chart with what is picked next to it, the table, and below it what differs between the picked points.

    What is above the table keeps its height whatever is picked: rows stay under the pointer that ticks them.
    """
    picked = selection.chosen(everything, view)
    left, right = st.columns([2, 1], gap="medium")
    with right:
        selection.show(picked, view, view_state.tags(everything))
    if points.empty:
        left.info(say("tradeoffs.nothing"), icon=":material/filter_alt_off:")
    else:
        with left:
            drawn, table = chart.show(points, everything, view)
        controls.affordable(points, everything, view)
        chart.show_table(drawn, table, everything, view)
    selection.differences(picked)
    answers.show(picked)
    if len(points):
        chart.show_parallel(points)


def watch(seen: pd.DataFrame) -> None:
    """Draws the page anew when a run that is going on has measured something."""

    @st.fragment(run_every=POLL)
    def look() -> None:
        if stored().table() is not seen:
            st.rerun()

    if stored().is_going():
        look()


main()
