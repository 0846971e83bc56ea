"""Blocks that several pages are built of: an empty state, a refusal, a chart with its data, a run's points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.comparison.closing import MATTERS
from core.errors import UserError, UserErrors
from core.points import Point
from core.text import formatting
from core.text.escaping import UserText
from dashboard import chance, faults, receipt
from dashboard.charts.style import MARKS
from dashboard.i18n import named, named_point, say
from dashboard.live_plot import Document, Picked, live_plot
from dashboard.session import widget

CARD = 186  # pixels: five next to each other on a wide screen, two on a telephone
TEXT_COLORS = {"transfer": "blue", "distill": "orange", "prune": "green", "quantize": "red", "export": "gray"}


def empty(message: str, action: str, page: str, icon: str) -> None:
    """What will be here, and the one thing to do: a link to another page of `app_pages/`."""
    with st.container(border=True, horizontal_alignment="center", key="empty"):
        st.markdown(message, text_alignment="center")
        if st.button(action, type="primary", icon=icon, key="empty_action"):
            st.switch_page(f"app_pages/{page}.py")


def refused(error: UserError | UserErrors) -> None:
    """What was wrong with what a person asked for, or what happened; see `faults.refused`."""
    faults.refused(error)


def chart(
    figure: go.Figure | Document,
    data: pd.DataFrame,
    *,
    key: str,
    alt: str,
    file: str,
    newest: float | None = None,
    on_pick: Callable[[Picked], None] | None = None,
    extra: Callable[[], None] | None = None,
) -> None:
    """A chart that is updated in place, and under it its data, as a table and as CSV, and an `extra` control."""
    live_plot(figure, key=key, alt=alt, file=file, newest=newest, on_pick=on_pick)
    show_data(data, key=key, alt=alt, file=file, extra=extra)


def show_data(data: pd.DataFrame, *, key: str, alt: str, file: str, extra: Callable[[], None] | None = None) -> None:
    """The numbers behind a chart that `alt` describes. The table is built only when it is asked for."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_tools"):
        if extra is not None:
            extra()
        shown = st.toggle(say("components.show_data"), key=f"{key}_shown")
        if shown:
            st.download_button(
                say("components.csv"),
                csv(data),
                f"{file}.csv",
                "text/csv",
                key=f"{key}_csv",
                icon=":material/download:",
                on_click="ignore",
            )
    if widget(f"{key}_shown", False):
        st.dataframe(data, hide_index=True, key=f"{key}_table", alt=say("components.data_of", chart=alt))


def csv(data: pd.DataFrame) -> bytes:
    """The table for a spreadsheet: UTF-8 with its mark, and no cell is taken for a formula."""
    safe = data.map(lambda cell: UserText(cell).csv() if isinstance(cell, str) else cell)
    return safe.to_csv(index=False).encode("utf-8-sig")


def point_strip(run: str, points: Sequence[Point], controls: Iterable[Point], environment: Mapping[str, str]) -> None:
    """The points of a run beside each other, with what each gained and lost; each opens its receipt and Inspect.
    `environment` is the run's."""
    if not points:
        return
    with st.container(horizontal=True, key="points"):
        for point in points:
            _point(run, point, points[0], environment)
        for control in controls:
            _point(run, control, points[0], environment, control=True)


def _point(run: str, point: Point, first: Point, environment: Mapping[str, str], *, control: bool = False) -> None:
    with st.container(border=True, width=CARD, height="stretch", gap="xxsmall"):
        st.markdown(heading(point, control=control))
        st.markdown(f"**{formatting.accuracy(point)}**")
        at_chance(point)
        if point.target_accuracy is not None:
            there = say("components.on_target", accuracy=formatting.on_target(point))
            st.markdown(f"{there} {chance.badge()}" if point.is_at_chance_on_target else there)
        st.markdown(f"{formatting.size(point.bytes)} · {formatting.milliseconds(point.latency_ms)}")
        st.caption(" · ".join(gains(point, first)) or say("components.baseline"))
        with st.popover(say("components.receipt"), width="stretch"):
            receipt.show(point, heading(point, control=control), environment)
        if point.artifact:
            asked = {"run": run, "point": f"{point.step}:{point.name}" if control else str(point.step)}
            icon = ":material/troubleshoot:"
            st.page_link("app_pages/inspect.py", label=say("components.inspect"), icon=icon, query_params=asked)


def at_chance(point: Point, width: Literal["stretch", "content"] = "stretch") -> None:
    """A badge with its reason where the point is not proven better than chance; else nothing."""
    if point.is_at_chance and point.chance is not None:
        told = chance.told(point.chance.test, point.chance)
        st.markdown(chance.badge(), help=say("chance.badge_help", told=told), width=width)


def one_line(point: Point) -> str:
    """Accuracy, size and time of a point."""
    return (
        f"{formatting.accuracy(point)} · {formatting.size(point.bytes)} · {formatting.milliseconds(point.latency_ms)}"
    )


def heading(point: Point, *, control: bool = False) -> str:
    """The point's mark in its colour, and its name."""
    mark = MARKS.get(point.stage, "○")
    name = UserText(named(point.stage, point.method, point.name)).md()
    return f":{TEXT_COLORS.get(point.stage, 'gray')}[{mark}] {named_point(name, control=control)}"


def gains(point: Point, first: Point) -> list[str]:
    """How the size compares with the first point's."""
    if point is first or not point.bytes or not first.bytes:
        return []
    ratio = first.bytes / point.bytes
    way, times = ("smaller", ratio) if ratio >= MATTERS else ("larger", 1 / ratio)
    return [say(f"components.{way}", times=formatting.two_digits(times))]
