"""Home: what this is, two ways in, the latest runs and what they came to, this machine."""

from __future__ import annotations

import streamlit as st

from core.hardware.machine import machine
from core.runs import Run, RunSummary
from core.text import formatting
from core.text.escaping import UserText
from dashboard import closing, components, faults, frame, launch, run_status
from dashboard.charts.style import MARKS
from dashboard.i18n import listed, say
from dashboard.session import read_only, workspace

LATEST = 8
EVERY = 2.0  # seconds
SELDOM = 5.0  # seconds between two looks while nothing goes on: another window may start a run
STAGES = ("transfer", "distill", "prune", "quantize")


def main() -> None:
    st.markdown(say("home.promise"))
    ways()
    with st.container(horizontal=True, vertical_alignment="center", key="home_actions"):
        st.page_link("app_pages/design.py", label=say("home.design"), icon=":material/tune:")
        st.page_link("app_pages/tradeoffs.py", label=say("home.samples"), icon=":material/scatter_plot:")
    moving = any(not s.status.is_over for s in latest())
    st.fragment(runs, run_every=EVERY if moving else SELDOM)()
    this_machine()


def ways() -> None:
    """The two ways in: what comes along, and what a person brings."""
    own = "data" in frame.PAGES
    columns = st.columns(2 if own else 1)
    with columns[0], st.container(border=True, height="stretch", key="way_demo"):
        st.markdown(say("home.demo_is"))
        if st.button(
            say("home.run_demo"),
            type="primary",
            icon=":material/play_arrow:",
            key="run_demo",
            disabled=read_only(),
            help=say("home.run_demo_help"),
        ):
            launch.begin(launch.demo_text())
    if own:
        with columns[1], st.container(border=True, height="stretch", key="way_own"):
            st.markdown(say("home.own_is"))
            if st.button(say("home.own_images"), icon=":material/add_photo_alternate:", key="own_images"):
                st.switch_page("app_pages/data.py")


def runs() -> None:
    """The newest runs and what happens in one; looked at again while one goes on."""
    summaries = latest()
    chain(next((s for s in summaries if s.points), None))
    recent(summaries)


def latest() -> list[RunSummary]:
    """The newest runs, the newest first."""
    folder = workspace().path / "runs"
    return [Run(folder / run_id).summary() for run_id in reversed(workspace().run_ids()[-LATEST:])]


def chain(summary: RunSummary | None) -> None:
    """What happens in a run: with the real numbers of the newest one, once there is one."""
    points = {point.stage: point for point in summary.points} if summary else {}
    with st.container(border=True, key="chain"):
        st.caption(say("home.chain_of", name=UserText(summary.name).md()) if summary else say("home.chain"))
        for column, stage in zip(st.columns(len(STAGES)), STAGES, strict=True):
            with column, st.container(gap="xxsmall"):
                color = components.TEXT_COLORS[stage]
                st.markdown(f":{color}[{MARKS[stage]}] **{say(f'home.{stage}')}**")
                point = points.get(stage)
                if point is None:
                    st.caption(say(f"home.{stage}_does"))
                else:
                    st.markdown(f"{formatting.accuracy(point)} · {formatting.size(point.bytes)}")
                    components.at_chance(point)
                    st.caption(formatting.milliseconds(point.latency_ms))


def recent(summaries: list[RunSummary]) -> None:
    """The latest runs, each with what it came to."""
    st.subheader(say("home.recent"), anchor=False)
    if not summaries:
        st.caption(say("home.no_runs"))
    for summary in summaries:
        with st.container(gap=None, key=f"recent_{summary.id}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                name = UserText(summary.name).md()
                st.page_link("app_pages/live.py", label=name, query_params={"run": summary.id})
                st.markdown(run_status.badge(summary.status), width="content")
                best = max(summary.points, key=lambda p: p.step, default=None)
                if best:
                    components.at_chance(best, width="content")
                facts = [components.one_line(best)] if best else []
                st.caption(" · ".join([*facts, run_status.age(summary.created)]), width="content")
                if again := trying_again(summary):
                    st.caption(again, width="content")
            if told := closing.brief(closing.of(run_of(summary), summary)):
                st.caption(told)


def run_of(summary: RunSummary) -> Run:
    return Run(workspace().path / "runs" / summary.id)


def trying_again(summary: RunSummary) -> str:
    """That a run stopped by itself and is tried again; empty for any other."""
    if summary.status.is_over:
        return ""
    return faults.trying_again(run_of(summary).state())


def this_machine() -> None:
    """What everything is measured on."""
    found = machine()
    runtimes = listed(f"{name} {number}" for name, number in found.runtimes)
    st.subheader(say("home.machine"), anchor=False)
    st.caption(
        say(
            "home.machine_is",
            processor=UserText(found.processor).md(),
            cores=found.cores,
            memory=formatting.size(found.memory),
            accelerator=UserText(found.accelerator).md() if found.accelerator else say("home.no_accelerator"),
            runtimes=runtimes,
        )
    )
    st.caption(say("home.workspace", path=UserText(workspace().path).md()))


main()
