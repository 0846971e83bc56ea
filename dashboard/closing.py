"""The closing sentence of a run in the person's language, as the pages and the report say it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import streamlit as st

from core.comparison import closing_words
from core.comparison.closing import Closing, closing
from core.comparison.closing_words import Voice
from core.comparison.difference import Difference
from core.comparison.paired import pairing
from core.errors import UserError
from core.points import Point
from core.run_files.samples import sample
from core.runs import Run, RunSummary
from core.state import RunState
from core.text.escaping import UserText
from dashboard.i18n import control_name, headed, language, named, say
from dashboard.session import workspace


def of(run: Run, state: RunState | RunSummary) -> Closing:
    """The facts of a run as far as it has come; found anew only when it has come further."""
    points = (*state.points, *state.controls)
    measured = [(p.step, p.name, p.middle, p.bytes, p.seeds, p.latency_ms and p.latency_ms.p50) for p in points]
    return _of(str(run.folder), f"{state.status} {measured}", state)


@st.cache_resource(show_spinner=False, max_entries=64)
def _of(folder: str, come_to: str, _state: RunState | RunSummary) -> Closing:
    run = Run(Path(folder))
    return closing(_state.points, _state.controls, _state.status, pairing(run))


def full(found: Closing) -> str:
    """Everything, as Markdown; empty where nothing was measured yet."""
    return _markdown(closing_words.lines(found, voice()))


def brief(found: Closing) -> str:
    """What it came to and what the teacher was worth, as Markdown."""
    return UserText(closing_words.brief(found, voice())).md()


def plain(found: Closing) -> str:
    """Everything as text that is not escaped, for a report."""
    return closing_words.sentence(found, voice())


def of_picked(picked: pd.DataFrame) -> Iterator[tuple[str, Closing]]:
    """Name and facts of each run that picked points belong to, as its own runtime has them: nothing beside figures of
    a further one, and nothing of a run deleted meanwhile."""
    for run_id, rows in picked[picked["asked"] == ""].groupby("run", sort=False):
        try:
            run = sample(str(run_id)) if rows["sample"].iloc[0] else workspace().run(str(run_id))
        except UserError:
            continue
        summary = run.summary()
        yield summary.name, of(run, summary)


def verdict(found: Difference) -> str:
    """How a difference of accuracies was judged and what came of it, in brackets."""
    return closing_words.verdict(found, voice())


def show_picked(picked: pd.DataFrame) -> None:
    """What the runs of the picked points came to."""
    for name, found in of_picked(picked):
        if told := full(found):
            st.caption(headed(f"*{UserText(name).md()}*", told))


def report_lines(picked: pd.DataFrame) -> Iterator[str]:
    """The same for a report, as text that is not escaped."""
    yield from (headed(name, plain(found)) for name, found in of_picked(picked) if found.points)


def voice() -> Voice:
    """The person's language."""
    between = "" if language() == "zh" else " "
    return Voice(lambda key, **values: say(f"closing.{key}", **values), _point, _control, between)


def _markdown(lines: list[str]) -> str:
    """The first sentence in bold on a line of its own: it is what everybody came for."""
    head, *rest = [UserText(line).md() for line in lines] or [""]
    return f"**{head}**  \n{voice().between.join(rest)}" if head else ""


def _point(point: Point) -> str:
    return named(point.stage, point.method, point.name)


def _control(name: str) -> str:
    return f"“{control_name(name)}”"
