"""Live: one run as it goes: where it is, its curves, its points landing, the queue, its log."""

from __future__ import annotations

from importlib.util import find_spec

import streamlit as st

from core.catalog import STAGES
from core.closing import Closing
from core.errors import UserError, UserErrors
from core.escaping import UserText
from core.recipe import Recipe
from core.runs import Run
from core.state import RunState, Status
from dashboard import chance, closing, components, run_status
from dashboard.charts import curves, run_points
from dashboard.i18n import control_name, say, template
from dashboard.live import busy, details, estimate, parent, queue, run_controls, stepper, story
from dashboard.session import dark, followed, raw_query, recall, remember, widget, workspace

EVERY = 1.0  # seconds between two looks at a run that goes on
SELDOM = 3.0  # seconds between two looks at one that stands still
SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95)


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
    run_controls.ending(run, state)
    concluded(run, state)
    pulse(run, recipe, steps, drawn=state)
    attend(run, drawn=state)
    components.point_strip(run.id, state.points, state.controls)
    queue.draw(readable_recipe)
    details.draw(run, state)


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


def is_moving(state: RunState) -> bool:
    return not state.status.is_over and state.status is not Status.PAUSED


def attend(run: Run, *, drawn: RunState) -> None:
    """Draws the page again when a run that stands still is taken up again elsewhere."""
    drawn_at = landmarks(run, drawn)

    def look() -> None:
        if run.folder.is_dir() and landmarks(run, run.state()) != drawn_at:
            st.rerun()

    st.fragment(look, run_every=None if is_moving(drawn) else SELDOM)()


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
            draw_curves(run, recipe, state)
        with right:
            draw_landing(state)

    st.fragment(look, run_every=EVERY if is_moving(drawn) else None)()


def landmarks(run: Run, state: RunState) -> tuple[object, ...]:
    """What changes the page outside the charts, whoever did it."""
    asked = run.cancel_requested(), run.pause_requested()
    told = len(state.measured), len(state.warnings), state.error is None, state.strikes, state.stops
    return state.status, asked, told


def where(run: Run, state: RunState, recipe: Recipe | None, steps: int) -> None:
    """The state, the step and the time left, as a line, as steps in a row and as a bar."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="where"):
        st.markdown(run_status.badge(state.status), width="content")
        st.markdown(run_status.line(state, steps) or say("live.waiting"), width="content")
    with st.container(gap="xsmall", key="stepper"):
        stepper.draw(state, recipe, estimate.left(run, recipe, state) if is_moving(state) else None)
        if state.status is Status.RUNNING:
            busy.draw(run)


def concluded(run: Run, state: RunState) -> None:
    """What the run came to, once it is over, and what can be done with it."""
    if not state.status.is_over:
        return
    found = closing.of(run, state)
    if not (told := closing.full(found)):
        return
    with st.container(border=True, key="closing"):
        st.markdown(told)
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
        "app_pages/inspect.py", label=say("live.inspect"), icon=":material/troubleshoot:",
        query_params={"run": run.id, "point": place},
    )  # fmt: skip
    if find_spec("core.bundling"):
        st.page_link(page, label=say("live.bundle"), icon=":material/download:", query_params={"sel": one})
    st.page_link(
        "app_pages/tryit.py", label=say("live.try_it"), icon=":material/draw:", query_params={"sel": everything}
    )


def draw_curves(run: Run, recipe: Recipe | None, state: RunState) -> None:
    """A panel a step, smoothed as the person likes; the raw lines stay underneath."""
    training = widget("curves_training", False)
    strokes = say("live.strokes_training" if training else "live.strokes")
    st.markdown(f"**{say('live.curves')}** :small[{strokes}]")
    table = curves.info(state)
    names = {str(s.step): f"{s.step + 1} {say(f'status.{s.stage}')}" for s in state.steps}
    controls = {str(line): line_name(str(line), names) for line in table["line"].unique()}
    labels = curves.Labels(
        x=say("live.epoch"),
        accuracy=say("live.accuracy"),
        loss=say("live.loss"),
        lines=controls,
        steps=names,
    )
    luck = state.chance
    levels = [chance.level(luck.validation, luck)] if luck else []
    before = parent.of(run, recipe)
    earlier = curves.info(parent.state(str(workspace().path), before.run)) if before else None
    figure = curves.figure(
        table,
        labels,
        smoothing=recall("smoothing", 0.0),
        levels=levels,
        dark=dark(),
        training=training,
        earlier=earlier,
    )
    last = table.dropna(subset=["validation_accuracy"]).tail(1)
    best = f"{100 * float(last['validation_accuracy'].iloc[0]):.1f} %" if len(last) else "–"
    components.chart(
        figure,
        table,
        key="curves",
        alt=" ".join([say("live.curves_alt", lines=len(controls), last=best), *(level.hint for level in levels)]),
        file="curves",
        newest=state.last_event,
        extra=drawing,
    )
    if before is not None and earlier is not None and earlier["validation_accuracy"].notna().any():
        st.caption(say("live.earlier", name=UserText(before.name).md(), count=before.differ))


def drawing() -> None:
    """How the curves are drawn."""
    st.toggle(say("live.training"), key="curves_training", help=say("live.training_help"))
    smoothing()


def line_name(line: str, names: dict[str, str]) -> str:
    """The step's name; of a control that and its own, of a further seed its number behind."""
    chain, _, seed = line.partition("#")
    step, _, control = chain.partition(":")
    name = names.get(step, step)
    name += f": {UserText(control_name(control)).plot()}" if control else ""
    return f"{name} (seed {seed})" if seed else name


def smoothing() -> None:
    """How much of each drawn value is its past."""
    before = recall("smoothing", 0.0)
    chosen = st.select_slider(
        say("live.smoothing"),
        SMOOTHINGS,
        value=before,
        key="smoothing_choice",
        width=180,
        help=say("live.smoothing_help"),
    )
    if chosen != before:
        remember("smoothing", chosen)
        st.rerun(scope="fragment")


def draw_landing(state: RunState) -> None:
    """The points so far: accuracy against size, mark area as latency."""
    st.markdown(f"**{say('live.landing')}** :small[{say('live.marks')}]")
    table = run_points.info(state)
    labels = run_points.Labels(
        x=say("live.size"),
        y=say("live.test_accuracy"),
        stages={stage: say(f"status.{stage}") for stage in STAGES},
        control=say("components.control"),
        hover=template("live.hover"),
        chance=say("chance.badge"),
    )
    luck = state.chance
    levels = [chance.level(luck.test, luck)] if luck else []
    figure = run_points.figure(table, labels, levels=levels, dark=dark())
    alt = " ".join([say("live.landing_alt", points=len(table)), *(level.hint for level in levels)])
    components.chart(figure, table, key="landing", alt=alt, file="points", newest=state.last_event)


main()
