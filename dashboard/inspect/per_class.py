"""How often each class is recognised, with its interval and what changed."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.run_files.sides import Side
from core.statistics.confusion import balanced_accuracy, macro_f1
from core.text import formatting
from core.text.escaping import UserText
from dashboard import closing, components
from dashboard.charts import class_intervals as chart
from dashboard.charts.classes import Mark, change_in
from dashboard.i18n import named, say, template
from dashboard.inspect import evidence
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Pair
from dashboard.inspect.sentence import signed
from dashboard.session import dark


def show(choice: Choice) -> None:
    """The chart, the largest loss in words, and the figures over all classes."""
    pair = evidence.needed(choice)
    if pair is None:
        return
    table = shares(choice, pair)
    labels = chart.Labels(x=say("inspect.classes_axis"), hover=template("inspect.classes_hover"))
    st.markdown(summary(pair))
    st.caption(say("inspect.classes_order_change" if pair.other is not None else "inspect.classes_order"))
    components.chart(
        chart.figure(table, labels, dark=dark()), table, key="inspect_classes", alt=described(table), file="classes"
    )
    if (count := table["class"].nunique()) > chart.MOST:
        st.caption(say("inspect.classes_part", shown=chart.MOST, count=count))


def shares(choice: Choice, pair: Pair) -> pd.DataFrame:
    """The rows of the chosen point, then those of what it is held against."""
    points = {_mark(choice.side): pair.own.matrix}
    if choice.against is not None and pair.other is not None:
        mark = _mark(choice.against)
        points[replace(mark, name=say("inspect.side_before", name=mark.name))] = pair.other.matrix
    return chart.info(points, pair.own.about.classes)


def _mark(side: Side) -> Mark:
    point = side.point
    return Mark(named(point.stage, point.method, point.name), point.stage, bool(point.control))


def summary(pair: Pair) -> str:
    """Balanced accuracy and macro-F1, with their change."""
    parts = []
    for name, figure in (("balanced", balanced_accuracy), ("macro_f1", macro_f1)):
        now = figure(pair.own.matrix)
        told = say(f"inspect.{name}", share=formatting.percent(now))
        if pair.other is not None:
            change = signed(now - figure(pair.other.matrix))
            difference = say("inspect.points", points=change, verdict=say("closing.unjudged"))
            told += say("inspect.aside", told=difference)
        parts.append(told)
    return " · ".join(parts)


def described(table: pd.DataFrame) -> str:
    """The chart in words: the class that lost most, or that is recognised least."""
    first = chart.changes(table).iloc[0]
    name = UserText(str(first["class"])).plain()
    if table["point"].nunique() < 2:
        lowest = formatting.percent(float(table["share"].min()), 0)
        return say("inspect.classes_alt", count=table["class"].nunique(), name=name, share=lowest)
    told = {"points": signed(float(first["change"])), "verdict": largest(table, str(first["class"]))}
    return say("inspect.classes_alt_change", count=table["class"].nunique(), name=name, **told)


def largest(table: pd.DataFrame, name: str) -> str:
    """The verdict about the change in one class, or part, of two points."""
    one, other = dict.fromkeys(table["point"])
    found = change_in(table, name, one, other)
    return "" if found is None else closing.verdict(found)
