"""Search: what was looked for, what was tried, what to take and why."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from core.errors import UserError
from core.search import store
from core.search.store import Search
from core.text import formatting
from core.text.escaping import UserText
from dashboard import components
from dashboard.i18n import say
from dashboard.search import actions, drawn
from dashboard.search.shown import Shown, shown
from dashboard.session import raw_query, workspace

FIELDS = ("code", "field", "given", "allowed", "fix")  # of an error as it is stored
EVERY = 2.0  # seconds between two looks at a search that goes on
COLORS: dict[str, Literal["blue", "gray", "green", "orange", "red"]] = {
    "checking": "blue",
    "running": "blue",
    "resting": "gray",
    "finished": "green",
    "refused": "orange",
    "cancelled": "gray",
    "failed": "red",
}


def main() -> None:
    everything = store.searches(workspace())
    search = chosen(everything)
    if search is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="search_head"):
        actions.choose(search, everything)
        try:
            found = shown(search)
        except UserError as error:
            components.refused(error)
            return
        actions.stop_or_go_on(found)
    watch(found)
    conclusion(found)
    actions.confirmations(found)
    drawn.draw(found)
    drawn.trials(found)


def chosen(everything: list[Search]) -> Search | None:
    """The search in the address, else the newest; says so where there is none."""
    asked = raw_query("search")
    found = next((one for one in everything if one.id == asked), None)
    if asked is not None and found is None and everything:
        components.refused(UserError("unknown_search", "search", asked, say("search.known"), ""))
    if not everything:
        components.empty(say("search.empty"), say("search.empty_action"), "design", ":material/tune:")
        return None
    return found or everything[0]


def watch(found: Shown) -> None:
    """Where it stands; looked at again while it goes on, the page drawn anew when a trial is over."""
    drawn_at = _landmarks(found)

    def look() -> None:
        latest = shown(found.search)
        if _landmarks(latest) != drawn_at:
            st.rerun()
        where(latest)

    st.fragment(look, run_every=None if found.now.is_over else EVERY)()


def _landmarks(found: Shown) -> tuple[object, ...]:
    return found.now.status, sum(trial.state != "running" for trial in found.now.trials), found.now.cause


def where(found: Shown) -> None:
    """State, trials, time and bounds on a line; why it ended."""
    now, asked = found.now, found.asked
    done = sum(trial.state != "running" for trial in now.trials)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="search_where"):
        st.badge(say(f"search.status_{now.status}"), color=COLORS[now.status])
        parts = [say("search.done", done=done, most=asked.trials), formatting.duration(now.spent)]
        parts += [] if asked.is_sweep else [found.bounds()]
        st.markdown(" · ".join(parts), width="content")
    with st.container(horizontal=True, key="search_running"):
        for trial in now.trials:
            if trial.state == "running" and not now.is_over:
                st.page_link(
                    "app_pages/live.py",
                    label=say("search.running", number=trial.number + 1),
                    icon=":material/monitoring:",
                    query_params={"run": trial.run},
                )
    if now.cause in ("trials", "time", "exhausted", "stopped"):
        st.caption(say(f"search.ended_{now.cause}"))


def conclusion(found: Shown) -> None:
    """What to take and why, and what can be done with it; or what was refused."""
    now = found.now
    if now.error:
        code, field, given, allowed, fix = (now.error.get(key, "") for key in FIELDS)
        components.refused(UserError(code, field, given, allowed, fix))
    if now.status in ("checking", "refused") or found.asked.is_sweep:
        return
    with st.container(border=True, key="search_answer"):
        if not now.is_over:
            st.caption(say("search.so_far"))
        st.markdown(found.sentence())
        best = found.answer.recommended or found.answer.nearest
        if best is not None:
            actions.onwards(found, best)
        if now.trials:
            run = UserText(found.search.tag).md()
            st.caption(say("search.tagged", tag=run))


main()
