"""What is taken for what; a click on a cell shows its images."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.comparison.flips import surest_mistakes
from core.text.escaping import UserText
from dashboard import components
from dashboard.charts import confusion as chart
from dashboard.i18n import say, template, together
from dashboard.inspect import evidence, images
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Pair
from dashboard.live_plot import Picked
from dashboard.session import dark, put_query, raw_query, widget

CELL = "cell"


def show(choice: Choice) -> None:
    """The matrix beside the images of the chosen cell; without one the surest mistakes."""
    pair = evidence.needed(choice)
    if pair is None:
        return
    cell = chosen(pair)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _matrix(pair, cell)
    with right:
        _menus(pair, cell)
        _cell(choice, pair, cell) if cell is not None else _mistakes(choice, pair)


def chosen(pair: Pair) -> tuple[int, int] | None:
    """The cell in the address as class and answer; None where it names none."""
    first, _, second = (raw_query(CELL) or "").partition(",")
    classes = range(len(pair.own.about.classes))
    if first.isdecimal() and second.isdecimal() and int(first) in classes and int(second) in classes:
        return int(first), int(second)
    return None


def _matrix(pair: Pair, cell: tuple[int, int] | None) -> None:
    names, matrix = pair.own.about.classes, pair.own.matrix
    before = pair.other.matrix if pair.other is not None else None
    hover = template("inspect.matrix_hover_before" if before else "inspect.matrix_hover")
    labels = chart.Labels(x=say("inspect.answered"), y=say("inspect.truth"), hover=hover)
    figure = chart.figure(matrix, names, labels, before=before, cell=cell, dark=dark())
    table = chart.info(matrix, names, before)
    components.chart(figure, table, key="inspect_matrix", alt=described(pair), file="confusion", on_pick=_picked)
    if (shown := len(chart.drawn_classes(matrix))) < len(names):
        st.caption(say("inspect.matrix_part", shown=shown, count=len(names)))


def described(pair: Pair) -> str:
    """The chart in words: its size, and what is confused most."""
    names, matrix = pair.own.about.classes, pair.own.matrix
    told = say("inspect.matrix_alt", classes=len(names), images=f"{len(pair.own.labels):,}")
    worst = chart.most_confused(matrix)
    if worst is None:
        return together((told, say("inspect.matrix_alt_none")))
    label, answer = (UserText(names[place]).plain() for place in worst)
    count = matrix[worst[0]][worst[1]]
    return together((told, say("inspect.matrix_alt_most", label=label, answer=answer, count=count)))


def _picked(found: Picked) -> None:
    put_query(CELL, found.ids[0] if found.ids else None)


def _menus(pair: Pair, cell: tuple[int, int] | None) -> None:
    """The same choice without a mouse."""
    names = pair.own.about.classes
    key = (
        raw_query(CELL) or ""
    )  # widgets of their own for each cell: one that is set from here may answer its old value
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect_cell"):
        for place, name in enumerate(("truth", "answered")):
            now = cell[place] if cell is not None else None
            st.selectbox(
                say(f"inspect.{name}"),
                range(len(names)),
                now,
                format_func=lambda label: names[label],
                key=f"inspect_{name}_{key}",
                on_change=_chosen,
                args=(key,),
                width=180,
                placeholder=say("inspect.any"),
            )
        if cell is not None:
            st.button(
                say("inspect.clear"),
                key="inspect_clear",
                type="tertiary",
                icon=":material/close:",
                on_click=put_query,
                args=(CELL, None),
            )


def _chosen(key: str) -> None:
    truth, answered = (widget(f"inspect_{name}_{key}", None) for name in ("truth", "answered"))
    if truth is not None and answered is not None:
        put_query(CELL, f"{truth},{answered}")


def _cell(choice: Choice, pair: Pair, cell: tuple[int, int]) -> None:
    """The images of one cell, the surest answers first."""
    truth, answered = cell
    names = [UserText(pair.own.name(label)).md() for label in cell]
    inside = np.flatnonzero((pair.own.labels == truth) & (pair.own.given == answered))
    what = "cell_right" if truth == answered else "cell_wrong"
    st.markdown(say(f"inspect.{what}", truth=names[0], answer=names[1], count=len(inside)))
    order = inside[np.argsort(-pair.own.confidences[inside], kind="stable")]
    if len(order):
        images.gallery(choice, pair, [int(place) for place in order], f"cell_{truth}_{answered}")


def _mistakes(choice: Choice, pair: Pair) -> None:
    """Without a cell: the mistakes of which the point is surest."""
    own = pair.own
    places = surest_mistakes(own.labels.tolist(), own.given.tolist(), own.confidences.tolist())
    st.markdown(say("inspect.surest", count=len(places)) if places else say("inspect.no_mistakes"))
    if places:
        images.gallery(choice, pair, places, "surest")
