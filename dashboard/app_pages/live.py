"""Live: one run as it goes: where it is, its curves, its points landing, the queue, its log."""

from __future__ import annotations

from importlib.util import find_spec

import streamlit as st

from core.comparison.closing import Closing
from core.comparison.gap import judged
from core.comparison.paired import pairing
from core.errors import UserError, UserErrors
from core.recipe import Recipe
from core.runs import Run
from core.state import RunState
from dashboard import closing, components, run_status, sending, terms
from dashboard.i18n import say
from dashboard.live import busy, cluster, details, estimate, pace, panels, queue, run_controls, stepper, story
from dashboard.session import followed, raw_query, workspace


def main() -> None:
    run = chosen()
    if run is None:
        return
    state = run.state()
    recipe = readable_recipe(run)
    steps = len(recipe.steps) if recipe else max(len(state.steps), 1)
    with st.container(horizontal=True, vertical_alignment="center", key="run_head"):
        run_controls.choose(run)
        run_controls.buttons(run, state)
    cluster.draw()
    run_controls.ending(run, state, recipe.steps if recipe else ())
    if state.status.is_over:
        concluded(run, state)
    else:
        story.so_far(run, recipe, state)
    pulse(run, recipe, steps, drawn=state)
    attend(run, drawn=state)
    found = judged(state.points, state.controls, pairing(run))
    components.point_strip(run.id, found, state.controls, state.environment)
    queue.draw()
    details.draw(run, state, recipe.steps if recipe else ())


def chosen() -> Run | None:
    """The run in the address, else the one that goes on, else the newest; says so where there is none."""
    asked = raw_query("run")
    if asked is not None:
        try:
            return followed(asked)
        except UserError as error:
            components.refused(error)
    ids = workspace().run_ids()
    if not ids:
        components.empty(say("live.empty"), say("live.empty_action"), "home", ":material/play_arrow:")
        return None
    if asked is not None:
        components.empty(say("live.unknown"), say("live.unknown_action"), "home", ":material/home:")
        return None
    return followed(run_controls.current(ids))


def readable_recipe(run: Run) -> Recipe | None:
    """The run's recipe; None where the file was broken by hand."""
    try:
        return run.recipe()
    except (UserError, UserErrors, OSError, ValueError):
        return None


def attend(run: Run, *, drawn: RunState) -> None:
    """Draws the page again when a run that stands still is taken up again elsewhere."""
    drawn_at = landmarks(run, drawn)

    def look() -> None:
        if run.folder.is_dir() and landmarks(run, run.state()) != drawn_at:
            st.rerun()

    st.fragment(look, run_every=None if pace.is_moving(drawn) else pace.SELDOM)()


def pulse(run: Run, recipe: Recipe | None, steps: int, *, drawn: RunState) -> None:
    """The part that moves: looked at once a second while the run goes on. A new point or state redraws the page, as
    does one that came while the page was being `drawn`."""
    drawn_at = landmarks(run, drawn)

    def look() -> None:
        state = run.state()
        if landmarks(run, state) != drawn_at:
            st.rerun()
        where(run, state, recipe, steps)
        story.draw(run, recipe, state)
        left, right = st.columns([3, 2])
        with left:
            panels.draw_curves(run, recipe, state)
        with right:
            panels.draw_landing(run, state)

    st.fragment(look, run_every=pace.of(drawn))()


def landmarks(run: Run, state: RunState) -> tuple[object, ...]:
    """What changes the page outside the charts, whoever did it; and how often it is to be looked at."""
    asked = run.cancel_requested(), run.pause_requested()
    told = len(state.measured), len(state.warnings), state.error is None, state.strikes, state.stops
    return state.status, asked, told, pace.of(state)


def where(run: Run, state: RunState, recipe: Recipe | None, steps: int) -> None:
    """The state, the step and the time left, as a line, as steps in a row and as a bar."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="where"):
        st.markdown(run_status.badge(state.status), width="content")
        st.markdown(run_status.line(state, steps) or say("live.waiting"), width="content")
    with st.container(gap="xsmall", key="stepper"):
        stepper.draw(state, recipe, estimate.left(run, recipe, state) if pace.is_moving(state) else None)
        if "node" not in state.environment:  # busy.draw is about this machine
            busy.draw(run, state)


def concluded(run: Run, state: RunState) -> None:
    """What the run came to, once it is over, and what can be done with it."""
    found = closing.of(run, state)
    if not (told := closing.full(found)):
        return
    with st.container(border=True, key="closing"):
        st.markdown(told)
        terms.below(terms.of_text(told))
        if not found.points:
            return
        with st.container(horizontal=True, vertical_alignment="center", key="closing_actions"):
            _onwards(run, found)


def _onwards(run: Run, found: Closing) -> None:
    """Compare, take it away, try it."""
    everything = ",".join(f"{run.id}:{point.step}" for point in found.points)
    one = f"{run.id}:{(found.take or found.last).step}"
    page, icon = "app_pages/tradeoffs.py", ":material/scatter_plot:"
    st.page_link(page, label=say("live.compare"), icon=icon, query_params={"sel": everything})
    place = str((found.take or found.last).step)
    st.page_link(
        "app_pages/inspect.py",
        label=say("live.inspect"),
        icon=":material/troubleshoot:",
        query_params={"run": run.id, "point": place},
    )
    if find_spec("core.run_files.bundling"):
        st.page_link(page, label=say("live.bundle"), icon=":material/download:", query_params={"sel": one})
    st.page_link(
        "app_pages/tryit.py", label=say("live.try_it"), icon=":material/draw:", query_params={"sel": everything}
    )
    sending.button(run.id, "live_send")


main()
