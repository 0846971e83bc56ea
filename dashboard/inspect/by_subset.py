"""How often the point is right on dark and bright, on small and large images: right answers counted apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.errors import UserError, UserErrors
from core.questions.traits import Traits, TraitsRequest
from core.statistics.intervals import wilson
from core.text.escaping import UserText
from dashboard import components, faults
from dashboard.charts import class_intervals as chart
from dashboard.charts.classes import Mark
from dashboard.data import asking
from dashboard.i18n import named, say, template
from dashboard.inspect import evidence
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Pair
from dashboard.inspect.per_class import largest
from dashboard.inspect.sentence import signed
from dashboard.session import dark, forget, read_only, recall, remember

SLOT, KEPT, REFUSED = "inspect.traits", "inspect.traits_of", "inspect.traits_refused"
PARTS = 5  # of the images, with as many in each as possible


def show(choice: Choice) -> None:
    """The shares of right answers of each part with their intervals, of the point and of what it is held against."""
    pair = evidence.needed(choice)
    if pair is None:
        return
    traits = _known(choice)
    if traits is None:
        _ask(choice)
        return
    if len(traits.brightness) != len(pair.own.labels):
        st.warning(say("inspect.other_images"), icon=":material/image_not_supported:")
        return
    kinds = ("brightness", "side") if len(set(traits.side)) > 1 else ("brightness",)
    by = st.segmented_control(
        say("inspect.subset_by"),
        kinds,
        default="brightness",
        required=True,
        key="inspect_subset_by",
        format_func=lambda name: say(f"inspect.subset_{name}"),
    )
    values = np.array(traits.brightness if by == "brightness" else traits.side, dtype=np.float64)
    table, order = shares(choice, pair, values, by)
    labels = chart.Labels(x=say("inspect.subset_axis"), hover=template("inspect.classes_hover"))
    figure = chart.figure(table, labels, order=order, dark=dark())
    st.caption(say(f"inspect.subset_{by}_help"))
    components.chart(figure, table, key="inspect_subset", alt=described(table, order), file="subsets")


def _known(choice: Choice) -> Traits | None:
    outcome = asking.outcome(SLOT)
    if outcome is not None and isinstance(outcome.asked.request, TraitsRequest):
        if outcome.error is not None:
            remember(REFUSED, (outcome.asked.request.run, outcome.error, outcome.details))
        else:
            remember(f"{KEPT}/{outcome.asked.request.run}", outcome.answer)
    found: Traits | None = recall(f"{KEPT}/{choice.run.id}", None)
    return found


def _ask(choice: Choice) -> None:
    """Asks at once where somebody is there who answers, else by a button."""
    refusal: tuple[str, UserError | UserErrors, str] | None = recall(REFUSED, None)
    refused = refusal is not None and refusal[0] == choice.run.id
    if refusal is not None and refused:
        faults.refused(refusal[1], refusal[2])
    free = asking.asked(SLOT) is None
    if free and read_only():
        st.info(say("inspect.read_only"), icon=":material/lock:")
        return
    if free and not refused and asking.attended():
        asking.begin(SLOT, TraitsRequest(choice.run.id))
    elif free:
        st.button(
            say("inspect.subset_start"),
            key="inspect_subset_start",
            icon=":material/play_arrow:",
            type="primary",
            on_click=_start,
            args=(choice.run.id,),
        )
    asking.watch(SLOT)


def _start(run: str) -> None:
    forget(REFUSED)
    asking.begin(SLOT, TraitsRequest(run))


def parts(values: NDArray[np.float64]) -> list[tuple[float, float, NDArray[np.int64]]]:
    """(least, largest, places) of up to PARTS parts with about as many images each; equal values are never parted."""
    bounds = np.unique(np.quantile(values, np.linspace(0, 1, PARTS + 1)[1:], method="higher"))
    number = np.searchsorted(bounds, values, side="left")
    found = [np.flatnonzero(number == part) for part in range(len(bounds))]
    return [(float(values[some].min()), float(values[some].max()), some) for some in found if len(some)]


def shares(choice: Choice, pair: Pair, values: NDArray[np.float64], by: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the chosen point and of what it is held against, as `class_intervals.info` has them, and the names of
    the parts in their order."""
    point = choice.point
    marks = [(Mark(named(point.stage, point.method, point.name), point.stage, bool(point.control)), pair.own)]
    if choice.against is not None and pair.other is not None:
        other = choice.against.point
        name = say("inspect.side_before", name=named(other.stage, other.method, other.name))
        marks.append((Mark(name, other.stage, bool(other.control)), pair.other))
    rows, order = [], []
    for least, most, places in parts(values):
        label = _between(least, most, by)
        order.append(label)
        for mark, answered in marks:
            right, count = int(answered.right[places].sum()), len(places)
            rows.append(
                (mark.name, mark.stage, mark.control, label, right, count, right / count, *wilson(right / count, count))
            )
    return pd.DataFrame(sorted(rows, key=lambda row: row[0] != marks[0][0].name), columns=chart.COLUMNS), order


def _between(least: float, largest: float, by: str) -> str:
    low, high = (f"{each:.0%}" if by == "brightness" else f"{each:.0f} px" for each in (least, largest))
    return low if low == high else f"{low} – {high}"


def described(table: pd.DataFrame, order: Sequence[str]) -> str:
    """The chart in words: the part with the fewest right answers, or with the largest loss."""
    first = chart.changes(table).iloc[0]
    name = UserText(str(first["class"])).plain()
    if table["point"].nunique() < 2:
        return say("inspect.subset_alt", count=len(order), name=name, share=f"{float(table['share'].min()):.0%}")
    told = {"points": signed(float(first["change"])), "verdict": largest(table, str(first["class"]))}
    return say("inspect.subset_alt_change", count=len(order), name=name, **told)
