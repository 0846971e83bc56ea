"""The points of the whole class in one chart: who has the smallest file above a bar?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core.classroom.limits import limits
from core.classroom.overview import Corner, everybody
from core.text import formatting
from core.text.escaping import UserText
from dashboard import components
from dashboard.charts import class_points
from dashboard.classroom.worded import called
from dashboard.i18n import say, template
from dashboard.session import dark, is_learner, root

BAR = 75  # per cent


def are_shown() -> bool:
    """Whether learners may see each other's results."""
    return limits(root().path).others == "read-only"


def show(path: Path) -> None:
    """The chart, and a sentence about who leads."""
    st.subheader(say("classroom.results"), anchor=False)
    corners = [one for one in everybody(path) if not (one.learner.removed and is_learner())]
    dataset = _dataset(corners)
    if dataset is None:
        st.caption(say("classroom.no_results"))
        return
    table = class_points.info(
        (called(corner), run.name, point)
        for corner in corners
        for run, point in corner.points
        if run.dataset == dataset
    )
    bar = st.slider(say("classroom.bar"), 0, 100, BAR, format="%d %%", key="class_bar") / 100
    st.markdown(_leads(table, bar))
    labels = class_points.Labels(
        say("classroom.size"), say("classroom.validation"), template("classroom.hover"), template("classroom.bar_line")
    )
    figure = class_points.figure(table, labels, bar, dark=dark())
    components.chart(figure, table, key="class_chart", alt=say("classroom.results_alt"), file="class.csv")


def _dataset(corners: Sequence[Corner]) -> str | None:
    """The one that is compared on: a network that knows ten digits is no rival of one that knows clothes. At first that
    of the most points; None where nothing was measured."""
    measured = Counter(
        run.dataset for corner in corners for run, point in corner.points if class_points.is_drawn(point)
    )
    names = [name for name, _ in measured.most_common()]
    if len(names) < 2:
        return names[0] if names else None
    chosen: str = st.selectbox(
        say("classroom.dataset"), names, format_func=lambda name: UserText(name).plain(), key="class_dataset"
    )
    return chosen


def _leads(table: pd.DataFrame, bar: float) -> str:
    first = class_points.leader(table, bar)
    if first is None:
        return say("classroom.nobody_leads", bar=formatting.percent(bar))
    told = say(
        "classroom.leads",
        name=UserText(first["learner"]).md(),
        size=formatting.size(first["bytes"]),
        validation=formatting.percent(first["validation"]),
        accuracy="–" if pd.isna(first["accuracy"]) else formatting.percent(first["accuracy"]),
    )
    unsure = not pd.isna(first["low"]) and first["low"] < bar
    return told + (say("classroom.leads_unsure", low=formatting.percent(first["low"])) if unsure else "")
