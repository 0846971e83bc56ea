"""The presenter's view: one part of a lesson at a time in large type, next and back by the arrow keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.lessons.blocks import Block, Knob, Lesson, Paragraph, Predict, Question, RunBlock
from core.lessons.metrics import written
from core.lessons.references import Look
from dashboard.classroom import poll
from dashboard.i18n import say
from dashboard.learn import acting, lesson, predicting
from dashboard.learn.book import Book, open_book
from dashboard.session import put_query, raw_query

STYLE = Path(__file__).with_name("learn.css")
HEADING = "###"  # the lesson's title stands on the first slide alone
Slide = tuple[tuple[int, Block], ...]  # blocks with their places in the lesson


def slides(found: Lesson) -> list[Slide]:
    """Paragraphs stand on the slide of the block that they lead to; every other block has a slide of its own."""
    made: list[Slide] = []
    gathered: list[tuple[int, Block]] = []
    for place, block in enumerate(found.blocks):
        if isinstance(block, RunBlock):
            continue
        gathered.append((place, block))
        if not isinstance(block, Paragraph):
            made.append(tuple(gathered))
            gathered = []
    return made if not gathered else [*made, tuple(gathered)]


def draw(found: Lesson) -> None:
    """The slide that the address names: the question, the parts in turn, what to remember."""
    st.html(STYLE)
    book, parts = open_book(found), slides(found)
    last = len(parts) + 1
    now = _place(last)
    poll.present(found, [block for _, block in parts[now - 1]] if 0 < now < last else ())
    _bar(now, last)
    with st.container(key="presenter"):
        if now == 0:
            st.markdown(f"### {book.told(found.title)}")
            st.markdown(book.told(found.question))
        elif now == last:
            lesson.remember_list(book, HEADING)
            lesson.paper(found)
        else:
            _slide(book, parts[now - 1])


def _place(last: int) -> int:
    asked = raw_query("present") or "1"
    return min(int(asked) - 1, last) if asked.isdecimal() and len(asked) < 5 and int(asked) > 0 else 0


def _bar(now: int, last: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="presenter_bar"):
        for name, to, key in (("previous", now - 1, "Left"), ("next", now + 1, "Right")):
            st.button(
                say(f"learn.{name}"),
                key=f"presenter_{name}",
                shortcut=key,
                disabled=not 0 <= to <= last,
                on_click=put_query,
                args=("present", str(to + 1)),
            )
        st.caption(say("learn.slide", now=now + 1, count=last + 1), width="content")
        st.button(
            say("learn.stop_presenting"),
            key="presenter_close",
            icon=":material/close:",
            type="tertiary",
            on_click=put_query,
            args=("present", None),
        )


def _slide(book: Book, blocks: Sequence[tuple[int, Block]]) -> None:
    for place, block in blocks:
        if isinstance(block, Predict):
            _poll(book, block)
        elif isinstance(block, Question):
            _ask(book, block)
        elif isinstance(block, Knob):
            acting.draw_knob(book, block)
            acting.draw(book)
        else:
            lesson.draw_block(book, block, place, HEADING)


def _poll(book: Book, block: Predict) -> None:
    """The question for the room; the result is told on the press of a button."""
    st.markdown(f":material/psychology: **{book.told(block.question)}**")
    if poll.is_held():
        poll.draw(book, block)
        return
    for choice in block.choices:
        st.markdown(f"- {book.told(choice.text)}")
    if st.toggle(say("learn.show_result"), key=f"presenter_result_{block.line}"):
        st.markdown(f"**{_result(book, block)}**")
        if caveat := predicting.seeds_told(book, block):
            st.caption(caveat)


def _result(book: Book, block: Predict) -> str:
    look: Look = book.prepared if book.has_prepared else book.own
    if block.choices:
        right = predicting.came_true(block, look)
        return say("learn.not_yet") if right is None else book.told(block.choices[right].text)
    assert block.about is not None
    return written(block.about.kind, look(block.about))


def _ask(book: Book, block: Question) -> None:
    st.markdown(f":material/help: **{book.told(block.question)}**")
    shown = st.toggle(say("learn.show_result"), key=f"presenter_answer_{block.line}")
    for answer in block.answers:
        mark = ":material/check_circle: " if shown and answer.right else ""
        st.markdown(f"- {mark}{book.told(answer.text)}")
        if shown and answer.right:
            st.markdown(book.told(answer.why))
