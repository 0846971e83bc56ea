"""Says when other programs keep this machine busy: everything then takes longer, and latencies may be withheld."""

from __future__ import annotations

import os
import time
from collections import deque

import streamlit as st

from core.hardware.load import Sample, others, sample
from core.processes.identity import read_identity
from core.processes.workers import supervisor
from core.runs import Run
from core.state import RunState, Status
from dashboard.i18n import say
from dashboard.session import workspace

OVER = 5  # samples: what is said does not flicker
APART = 3.0  # seconds between two: reading the table of processes costs as much as drawing the page
MUCH = 0.25  # of the machine
ROOM = "&nbsp;"  # Streamlit cuts a blank itself off


@st.cache_resource(show_spinner=False)
def _samples(folder: str) -> deque[Sample]:
    return deque(maxlen=OVER)


def share(run: Run) -> float | None:
    """How much of the machine other programs used in the last seconds, 0 to 1; None where that is not known yet."""
    kept = _samples(str(workspace().path))
    if not kept or time.monotonic() - kept[-1].clock >= (APART if len(kept) > 1 else 1.0):  # however many look
        found = (supervisor(workspace()), read_identity(run.worker))
        kept.append(sample([os.getpid(), *(who.pid for who in found if who is not None)]))
    while kept[-1].clock - kept[0].clock > 3 * OVER * APART:  # nobody looked for a while
        kept.popleft()
    return others(kept[0], kept[-1])


def draw(run: Run, state: RunState) -> None:
    """A line while the run is at work and more than a quarter is used by others; else its room, so that nothing below
    moves when it comes or goes."""
    used = (share(run) or 0.0) if state.status is Status.RUNNING else 0.0
    told = f":orange[:material/speed:] {say('live.busy', percent=10 * round(10 * used))}"
    st.caption(told if used >= MUCH else ROOM)
