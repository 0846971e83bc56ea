"""Where the next runs go, if not to this machine: the cluster, what it lends, which nodes are refused and why."""

from __future__ import annotations

import time

import streamlit as st

from core.cluster.nodes import Seen, read_seen
from core.cluster.setting import OFF, cluster_of, set_cluster
from core.processes.workers import serving
from core.text.escaping import UserText
from dashboard import engine_words
from dashboard.i18n import say
from dashboard.live import run_controls
from dashboard.session import read_only, workspace

EVERY = 5.0  # seconds
OLD = 30.0  # seconds without a look at the nodes, until that is said


def draw() -> None:
    """Nothing while runs stay on this machine."""

    def look() -> None:
        address = cluster_of(workspace())
        if not address:
            return
        seen = read_seen(workspace(), address)
        if trouble := silence(seen, address):
            st.warning(trouble, icon=":material/cloud_off:")
            _offer_home()
        else:
            st.caption(f":material/lan: {lent(seen, address)}")
        for node in seen.nodes:
            if node.refused:
                why = engine_words.md(node.refused)
                st.caption(say("cluster.refused", name=UserText(node.name).md(), why=why))

    st.fragment(look, run_every=EVERY if cluster_of(workspace()) else None)()


def lent(seen: Seen, address: str) -> str:
    """How many nodes, cores and GPUs runs may have there."""
    cores, gpus = sum(node.cores for node in seen.usable), sum(node.gpus for node in seen.usable)
    told = {"address": UserText(address).md(), "nodes": len(seen.usable), "cores": cores}
    return say("cluster.lent", **told) + (say("cluster.gpus", gpus=gpus) if gpus else "")


def silence(seen: Seen, address: str) -> str:
    """Why no run begins there; empty while the cluster answers and has a node."""
    where = UserText(address).md()
    if seen.silent:
        return say("cluster.silent", address=where, why=engine_words.md(seen.silent))
    if not seen.time:
        return ""
    if (quiet := time.time() - seen.time) > OLD:
        return say("cluster.quiet", address=where, seconds=f"{quiet:.0f}")
    return "" if seen.usable else say("cluster.nobody", address=where)


def _offer_home() -> None:
    """A button that keeps later runs on this machine, for whoever the workspace belongs to."""
    if serving(workspace()).path != workspace().path or read_only():
        return
    if st.button(say("cluster.home"), icon=":material/computer:", key="cluster_home"):
        run_controls.act(lambda: set_cluster(workspace(), OFF))
