"""What a person can do with a search: choose it, stop it, go on, apply what it found, and confirm it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from core.errors import UserError, UserErrors
from core.processes import here
from core.processes.searches import start_driver
from core.processes.workers import ensure_supervisor
from core.recipe import Recipe
from core.search import space
from core.search.store import Search
from core.search.trial import Trial
from core.state import Status
from core.text import formatting
from dashboard import faults, launch, run_status
from dashboard.design import draft_state
from dashboard.i18n import say
from dashboard.search.shown import Shown
from dashboard.session import put_query, read_only, widget, workspace

LATEST = 20  # searches to choose from
SEEDS = 3  # of a run that confirms


def choose(search: Search, everything: Sequence[Search]) -> None:
    """A menu of the newest searches, the shown one among them."""
    known = {one.id: one for one in everything[:LATEST]} | {search.id: search}
    put_query("search", search.id)
    key = f"search_id_{search.id}"
    st.selectbox(
        say("search.choose"),
        list(known),
        list(known).index(search.id),
        format_func=lambda one: _title(known[one]),
        key=key,
        on_change=_chosen,
        args=(key,),
        label_visibility="collapsed",
        width=420,
    )


def _chosen(key: str) -> None:
    put_query("search", widget(key, ""))


def _title(search: Search) -> str:
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(int(search.id.partition("-")[0], 16) / 1e6))
    try:
        return f"{search.specification().name} · {begun}"
    except UserError:
        return f"{search.id} · {begun}"


def stop_or_go_on(found: Shown) -> None:
    """The one of both that is possible; none for a search that is done."""
    if not found.now.is_over:
        st.button(
            say("search.cancel"),
            icon=":material/stop:",
            key="search_cancel",
            disabled=read_only(),
            on_click=found.search.cancel,
        )
    elif found.now.status in ("cancelled", "failed"):
        st.button(
            say("search.go_on"),
            icon=":material/play_arrow:",
            key="search_go_on",
            disabled=read_only(),
            on_click=_go_on,
            args=(found.search,),
        )


def _go_on(search: Search) -> None:
    try:
        here.refuse(workspace(), search.specification().base())
        search.take_up()
        ensure_supervisor(workspace())
        start_driver(workspace(), search)
    except (UserError, UserErrors) as error:
        faults.refused(error)
    except (OSError, RuntimeError) as error:
        faults.refused(UserError("not_started", "workspace", str(error), "", ""), str(error))


def onwards(found: Shown, trial: Trial) -> None:
    """Apply it to Design, confirm it with further seeds, look at its run."""
    recipe = space.applied(found.recipe, trial.values, workspace().catalog())
    with st.container(horizontal=True, vertical_alignment="center", key="search_onwards"):
        if st.button(say("search.apply"), icon=":material/tune:", key="search_apply", type="primary"):
            draft_state.load(recipe.to_toml())
            st.switch_page("app_pages/design.py")
        known = found.search.confirmed()
        if st.button(
            say("search.confirm", seeds=SEEDS),
            icon=":material/verified:",
            key="search_confirm",
            disabled=read_only() or trial.number in known,
            help=say("search.confirm_help"),
        ):
            _confirm(found, trial, recipe)
        st.page_link(
            "app_pages/live.py",
            label=say("search.its_run"),
            icon=":material/monitoring:",
            query_params={"run": trial.run},
        )


def _confirm(found: Shown, trial: Trial, recipe: Recipe) -> None:
    """The same settings once more with several seeds, as a run that reports on the test images."""
    name = say("search.confirm_name", name=recipe.name, number=trial.number + 1)
    text = replace(recipe, name=name, seeds=SEEDS).to_toml()
    try:
        found.search.confirm(trial.number, launch.start(text))
        ensure_supervisor(workspace())
    except (UserError, UserErrors) as error:
        faults.refused(error)
    except (OSError, RuntimeError) as error:
        faults.refused(UserError("not_started", "workspace", str(error), "", ""), str(error))
    else:
        st.rerun()


def confirmations(found: Shown) -> None:
    """What the runs that confirm came to: the test accuracy, which no choice was made by."""
    for number, run_id in found.search.confirmed().items():
        try:
            summary = workspace().run(run_id).summary()
        except UserError:  # deleted
            continue
        last = max(summary.points, key=lambda point: point.step, default=None)
        done = summary.status is Status.FINISHED and last is not None
        told = say("search.confirmed", number=number + 1, accuracy=formatting.accuracy(last)) if done and last else ""
        with st.container(horizontal=True, vertical_alignment="center", key=f"search_confirmed_{number}"):
            st.markdown(told or say("search.confirming", number=number + 1), width="content")
            st.markdown(run_status.badge(summary.status), width="content")
            st.page_link(
                "app_pages/live.py",
                label=say("search.its_run"),
                icon=":material/monitoring:",
                query_params={"run": run_id},
            )
