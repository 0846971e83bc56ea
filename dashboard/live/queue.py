"""The runs that wait: in which order, when each is likely to begin, and what a person can do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import streamlit as st

from core.errors import UserError
from core.escaping import UserText
from core.recipe import Recipe
from core.runs import Run
from core.state import Status
from dashboard.i18n import say
from dashboard.live import estimate, run_controls
from dashboard.session import put_query, read_only, workspace

EVERY = 2.0  # seconds
OPEN = 5  # rows that are in sight; the others are folded
MOST = 50  # rows shown at all
LOOKED_AT = 20  # newest runs, among which are the one that goes on and some of the same recipe
Reader = Callable[[Run], Recipe | None]


def draw(recipe_of: Reader) -> None:
    """A row a run, in their order; nothing while none waits."""

    def look() -> None:
        waiting = workspace().queued()
        if not waiting:
            return
        st.markdown(f"**{say('queue.title', count=len(waiting))}**")
        starts = list(expected(waiting[:MOST], recipe_of))
        _rows(waiting, starts, range(min(len(waiting), OPEN)))
        if len(waiting) <= OPEN:
            return
        rest = st.expander(say("queue.more", count=len(waiting) - OPEN), key="queue_more", on_change="rerun")
        if rest.open:
            with rest:
                _rows(waiting, starts, range(OPEN, len(starts)))

    st.fragment(look, run_every=EVERY if workspace().queued() else None)()


def _rows(waiting: Sequence[str], starts: Sequence[float | None], places: range) -> None:
    for place in places:
        _row(place, waiting[place], len(waiting), starts[place])


def _row(place: int, run_id: str, count: int, start: float | None) -> None:
    """Place, name and start; to the front, earlier, later, out: buttons, so that keys reach them."""
    locked = read_only()
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall", key=f"waiting_{run_id}"):
        if st.button(f"{place + 1}. {UserText(_name(run_id)).md()}", type="tertiary", key=f"open_{run_id}"):
            put_query("run", run_id)
            st.rerun()
        st.space("stretch")
        st.caption(_start(start), width="content")
        for name, icon, target in (
            ("next", "vertical_align_top", 0),
            ("earlier", "arrow_upward", place - 1),
            ("later", "arrow_downward", place + 1),
        ):
            off = locked or target == place or not 0 <= target < count
            if st.button(
                "", icon=f":material/{icon}:", key=f"{name}_{run_id}", help=say(f"queue.{name}"), disabled=off
            ):
                run_controls.act(lambda target=target: workspace().reorder(run_id, target))  # type: ignore[misc]
        if st.button("", icon=":material/close:", key=f"drop_{run_id}", help=say("queue.drop"), disabled=locked):
            run_controls.act(lambda: workspace().cancel(run_id))


def _start(start: float | None) -> str:
    if start is None:
        return say("queue.start_unknown")
    return say("queue.start", time=time.strftime("%H:%M", time.localtime(start)))


def _name(run_id: str) -> str:
    try:
        return workspace().run(run_id).state().name
    except UserError:
        return run_id


def expected(waiting: Sequence[str], recipe_of: Reader) -> Iterator[float | None]:
    """When each waiting run is likely to begin, in seconds since 1970: after what goes on now and those before it. None
    from the first on whose length is not known."""
    at: float | None = time.time()
    lengths: dict[str, float] = {}
    queued = set(workspace().queued())
    for run_id in [each for each in workspace().run_ids() if each not in queued][-LOOKED_AT:]:
        run = workspace().run(run_id)
        summary = run.summary()  # of a run that is over without its log
        if summary.status is Status.FINISHED and summary.lasted:
            lengths[_text(recipe_of(run))] = summary.lasted
        elif summary.status is Status.RUNNING:
            left = estimate.left(run, recipe_of(run), run.state())
            at = None if left is None else time.time() + left
    for run_id in waiting:
        yield at
        length = _length(run_id, recipe_of, lengths) if at is not None else None
        at = None if at is None or length is None else at + length


def _length(run_id: str, recipe_of: Reader, lengths: dict[str, float]) -> float | None:
    """As long as the same recipe took before, else as long as was estimated for it."""
    text = _text(recipe_of(workspace().run(run_id)))
    plan = estimate.known().plans.get(run_id)
    return lengths.get(text) if text in lengths else plan.one_seed * plan.seeds if plan else None


def _text(recipe: Recipe | None) -> str:
    return "" if recipe is None else replace(recipe, name="").to_toml()
