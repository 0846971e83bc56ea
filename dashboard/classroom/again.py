"""For the teacher: the saved files of a corner answer the test images again, held against what their log says."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.classroom.overview import Corner
from core.errors import UserError, UserErrors
from core.processes.ask import ask
from core.processes.workers import SupervisorError, ensure_supervisor
from core.questions.answers import AnswersRequest
from core.run_files.sides import Side, sides
from core.text import formatting
from core.text.escaping import UserText
from dashboard import faults
from dashboard.i18n import aside, say
from dashboard.inspect import evidence
from dashboard.session import read_only, recall, remember

FOUND = "class.again"


@dataclass(frozen=True)
class Checked:
    """A saved file: the test accuracy that its log has, and the right answers of `images` that were counted now."""

    run: str
    name: str
    logged: float
    right: int
    images: int

    @property
    def off(self) -> int:
        """By how many images the log has more right answers than were counted now."""
        return round(self.logged * self.images) - self.right


def show(corner: Corner) -> None:
    """The button, and what came of it for this corner."""
    own = [one for run in corner.runs for one in sides(corner.workspace.run(run.id)) if one.point.accuracy is not None]
    if st.button(
        say("classroom.again", count=len(own)),
        icon=":material/fact_check:",
        help=say("classroom.again_help"),
        disabled=not own or read_only(),
        key="class_again",
    ):
        with st.spinner(say("classroom.measuring")):
            _measure(corner, own)
    found: tuple[str, list[Checked]] | None = recall(FOUND, None)
    if found is not None and found[0] == corner.learner.id:
        _tell(found[1], len(own) - len(found[1]))


def check(one: Side) -> Checked | None:
    """What is known of a file whose answers are kept; None where they are not."""
    answered = evidence.of(one)
    if answered is None or one.point.accuracy is None:
        return None
    right = int(answered.right.sum())
    return Checked(one.run.summary().name, one.point.name, one.point.accuracy, right, len(answered.labels))


def _measure(corner: Corner, own: list[Side]) -> None:
    """Asks for the answers of all files; what could not be asked is told."""
    try:
        ensure_supervisor(corner.workspace)
        ask(corner.workspace, AnswersRequest(tuple(one.id for one in own)))
    except (UserError, UserErrors) as error:
        faults.refused(error)
    except (OSError, SupervisorError, RuntimeError) as error:
        faults.refused(UserError("no_answer", "file", str(error), "", "Nothing was changed. Try again."))
    remember(FOUND, (corner.learner.id, [found for one in own if (found := check(one)) is not None]))


def _tell(found: list[Checked], missing: int) -> None:
    """What was counted for each file, and how many files could not be asked."""
    rows = [
        {
            say("classroom.run"): UserText(one.run).plain(),
            say("classroom.point"): UserText(one.name).plain(),
            say("classroom.logged"): formatting.percent(one.logged),
            say("classroom.now"): aside(formatting.percent(one.right / one.images), f"{one.right:,} / {one.images:,}"),
            say("classroom.verdict"): _verdict(one),
        }
        for one in found
    ]
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt=say("classroom.again_alt", count=len(rows)))
    if missing > 0:
        st.warning(say("classroom.not_again", count=missing), icon=":material/warning:")


def _verdict(one: Checked) -> str:
    return say("classroom.same") if one.off == 0 else say("classroom.differs", count=abs(one.off))
