"""The predictions of a class in one chart, with what was measured once it may be seen."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from core.classroom.poll import Answers
from core.lessons.blocks import Predict
from core.lessons.metrics import written
from dashboard import components
from dashboard.charts import poll as charts
from dashboard.i18n import listed, say
from dashboard.learn.book import Book
from dashboard.learn.predicting import came_true, seeds_told, unit_of
from dashboard.session import dark

LARGE = 20  # pixels: type of a chart that a room looks at


def draw(book: Book, block: Predict, found: Answers, *, told: bool, named: bool) -> None:
    """The chart and its numbers; with what was measured if it is `told`, with nicknames if they are `named`."""
    measured = _measured(book, block) if told else None
    if block.choices:
        _bars(block, found, None if measured is None else round(measured))
    else:
        _dots(book, block, found, measured, named=named)


def result(book: Book, block: Predict) -> str:
    """What was measured, in words."""
    measured = _measured(book, block)
    if measured is None:
        return say("learn.not_yet")
    figure = book.told(block.choices[round(measured)].text) if block.choices else _written(book, block)
    return "  \n".join(filter(None, (say("poll.result", figure=figure), seeds_told(book, block))))


def _bars(block: Predict, found: Answers, right: int | None) -> None:
    table = charts.counted([one.text for one in block.choices], [one.choice or 0 for one in found.guesses])
    figure = charts.bars(table, charts.Labels(say("poll.learners"), "", say("poll.came_true")), right, dark=dark())
    told = listed(
        say("poll.bar", name=name, count=count) for name, count in zip(table["letter"], table["count"], strict=True)
    )
    _put(figure, table, say("poll.bars_alt", told=told))


def _dots(book: Book, block: Predict, found: Answers, measured: float | None, *, named: bool) -> None:
    numbers = [(one.number, one.nickname if named else "") for one in found.guesses if one.number is not None]
    table = charts.stacked(numbers, block.low, block.high)
    beside = "" if measured is None else say("poll.measured", figure=_written(book, block))
    labels = charts.Labels(say("poll.learners"), say("poll.number", unit=unit_of(block).symbol), beside)
    figure = charts.dots(table, labels, block.low, block.high, measured, dark=dark())
    _put(figure, table[["prediction", "learner"] if named else ["prediction"]], say("poll.dots_alt", count=len(table)))


def _put(figure: go.Figure, table: pd.DataFrame, alt: str) -> None:
    figure.update_layout(font={"size": LARGE}, hoverlabel={"font": {"size": LARGE}})
    figure.update_annotations(font={"size": LARGE})
    figure.update_traces(textfont={"size": LARGE}, selector={"type": "bar"})
    components.chart(figure, table, key="class_poll_chart", alt=alt, file="poll")


def _measured(book: Book, block: Predict) -> float | None:
    """What was measured: in the unit of the question, or the place of the choice that came true; None where there is no
    result yet."""
    look = book.prepared if book.has_prepared else book.own
    if block.choices:
        return came_true(block, look)
    assert block.about is not None
    found = look(block.about)
    return None if found is None else found / unit_of(block).scale


def _written(book: Book, block: Predict) -> str:
    assert block.about is not None
    look = book.prepared if book.has_prepared else book.own
    return written(block.about.kind, look(block.about))
