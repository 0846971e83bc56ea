"""The runs that wait: in which order, when each is likely to begin, and what a person can do about it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import streamlit as st

from core.cluster.setting import cluster_of
from core.errors import UserError
from core.processes.slots import Need, Slots, need_of, slots, starts
from core.runs import Run
from core.state import Status
from core.text.escaping import UserText
from dashboard.i18n import say
from dashboard.live import estimate, run_controls
from dashboard.session import put_query, read_only, workspace
from dashboard.tradeoffs.points_cache import recipe

EVERY = 2.0  # seconds
OPEN = 5  # rows that are in sight; the others are folded
MOST = 50  # rows shown at all
LOOKED_AT = 20  # newest runs, among which are the one that goes on and some of the same recipe


def draw() -> None:
    """A row a run, in their order; nothing while none waits."""

    def look() -> None:
        waiting = workspace().queued()
        if not waiting:
            return
        st.markdown(f"**{say('queue.title', count=len(waiting))}**")
        going = at_work(waiting)
        st.caption(occupied(waiting[0], going))
        starts = expected(waiting[:MOST], going)
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


@dataclass(frozen=True)
class AtWork:
    """A run at work: what it takes and the seconds left, None if not known."""

    name: str
    need: Need
    left: float | None


def _begun(waiting: Sequence[str]) -> list[Run]:
    """The newest runs that do not wait."""
    queued = set(waiting)
    return [workspace().run(each) for each in workspace().run_ids() if each not in queued][-LOOKED_AT:]


def at_work(waiting: Sequence[str]) -> list[AtWork]:
    """The runs that go on now."""
    going = []
    for run in _begun(waiting):
        if not run.result.exists() and (state := run.state()).status in (Status.RUNNING, Status.STALLED):
            left = estimate.left(run, recipe(run.id), state)
            going.append(AtWork(state.name, need_of(run, limits().gpus), left))
    return going


def occupied(first: str, going: Sequence[AtWork]) -> str:
    """How many cores are taken, and what the run that is next still waits for."""
    if cluster_of(workspace()):
        return say("cluster.taken", runs=len(going))
    limit, need = limits(), need_of(workspace().run(first), limits().gpus)
    taken = say("queue.taken", used=sum(each.need.cores for each in going), cores=limit.cores, runs=len(going))
    if limit.admits(need, [each.need for each in going]):
        return f"{taken} {say('queue.begins')}"
    if need.gpu and limit.gpus <= sum(each.need.gpu for each in going):
        return f"{taken} {say('queue.needs_gpu')}"
    return f"{taken} {say('queue.needs', cores=need.cores)}"


def limits() -> Slots:
    """What runs in this workspace may use."""
    return slots(workspace())


def expected(waiting: Sequence[str], going: Sequence[AtWork]) -> list[float | None]:
    """When each waiting run is likely to begin, in seconds since 1970: once what goes on now and those before it leave
    it enough cores. None from the first on that is not known, and for all on a cluster."""
    if cluster_of(workspace()):
        return [None] * len(waiting)
    lengths = _lengths(tuple(str(run.folder) for run in _begun(waiting) if run.result.exists()))
    runs = [workspace().run(run_id) for run_id in waiting]
    ahead = [(need_of(run, limits().gpus), _length(run, lengths)) for run in runs]
    now = time.time()
    found = starts(ahead, [(each.need, each.left) for each in going], limits())
    return [None if seconds is None else now + seconds for seconds in found]


@lru_cache(maxsize=8)
def _lengths(over: tuple[str, ...]) -> dict[str, float]:
    """How long each recipe took, in seconds, of these runs that are over: asked each second, read when one ends."""
    found: dict[str, float] = {}
    for run in (Run(Path(folder)) for folder in over):
        summary = run.summary()
        if summary.status is Status.FINISHED and summary.lasted:
            found[_text(str(run.folder))] = summary.lasted
    return found


def _length(run: Run, lengths: dict[str, float]) -> float | None:
    """As long as the same recipe took before, else as long as was estimated for it."""
    text = _text(str(run.folder))
    plan = estimate.known().plans.get(run.id)
    return lengths.get(text) if text in lengths else plan.one_seed * plan.seeds if plan else None


@lru_cache(maxsize=256)
def _text(folder: str) -> str:
    """What a run does, whatever it is called; a run's recipe never changes."""
    found = recipe(Path(folder).name)
    return "" if found is None else replace(found, name="").to_toml()
