"""The poll of a class on the teacher's screen: how many have predicted, and once the teacher shows them, what; hidden
until then, so that nobody copies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import streamlit as st

from core.classroom.limits import limits
from core.classroom.poll import Answers, Guess, Poll
from core.lessons.blocks import Lesson, Predict
from core.text.escaping import UserText
from dashboard.charts import poll as charts
from dashboard.classroom import poll_chart
from dashboard.classroom.seats import TEACHER
from dashboard.classroom.showing import Showing, screen
from dashboard.i18n import say
from dashboard.learn.book import Book
from dashboard.learn.predicting import unit_of
from dashboard.session import raw_query, recall, remember, root, seat, session_id

EVERY = 1.5  # seconds until the answers are looked at again
STAY = 20.0  # seconds between two words of the page to the class that it is still there
NAMES = "class.poll_names"
Shown = Literal["nothing", "predictions", "everything"]
KEYS = {"everything": "a", "predictions": "p"}  # on the keyboard


def is_held() -> bool:
    """Whether the page is the teacher's in a shared class."""
    return seat() == TEACHER


def present(lesson: Lesson, slide: Sequence[object]) -> None:
    """Tells the class which lesson is on the screen, and which prediction of it is asked for on this slide."""
    asked = next((block for block in slide if isinstance(block, Predict)), None)
    if is_held():
        if lesson.own and limits(root().path).teachers == "hidden":
            st.caption(say("classroom.not_lent", toggle=say("classroom.lent")))
        _stay(lesson.id, None if asked is None else lesson.predictions.index(asked), session_id())


@st.fragment(run_every=STAY)
def _stay(lesson: str, place: int | None, session: str) -> None:
    screen().show(lesson, place, session)


def leave() -> None:
    """The teacher's page shows something: if it is not the presenter's view any more, the class is told."""
    if is_held() and raw_query("present") is None:
        screen().leave(session_id())


def draw(book: Book, block: Predict) -> None:
    """The choices, and the answers as they come, looked at anew without drawing the page again."""
    place = book.lesson.predictions.index(block)
    for number, choice in enumerate(block.choices):
        st.markdown(f"**{charts.letter(number)}** · {book.told(choice.text)}")
    showing = screen().show(book.lesson.id, place, session_id())
    st.fragment(lambda: _gathered(book, block, place, showing.since), run_every=EVERY)()


def _gathered(book: Book, block: Predict, place: int, since: float) -> None:
    now = screen().now() or Showing(book.lesson.id, place, since, since)
    found = _poll(str(root().path)).answers(book.lesson.id, place, block, now.told.get(place))
    shown: Shown = recall(_memory(place, since), "nothing")
    with st.container(key="class_poll"):
        _tools(place, since, shown)
        st.markdown(_count(found))
        if recall(NAMES, False) and shown == "nothing":
            _who(found)
        if shown != "nothing":
            poll_chart.draw(book, block, found, told=shown == "everything", named=recall(NAMES, False))
            if shown == "everything":
                st.markdown(poll_chart.result(book, block))
            if recall(NAMES, False):
                _who_said(book, block, found)
        for told in _apart(found):
            st.caption(told)


@cache
def _poll(path: str) -> Poll:
    """That of this server, which keeps what it has read."""
    return Poll(Path(path))


def _memory(place: int, since: float) -> str:
    """Under which what is shown of a prediction is remembered, for as long as the lesson is on the screen."""
    return f"class.poll.{since}.{place}"


def _tools(place: int, since: float, shown: Shown) -> None:
    with st.container(horizontal=True, key="class_poll_tools"):
        for what, key in KEYS.items():
            is_on = shown == what
            st.button(
                say(f"poll.hide_{what}" if is_on else f"poll.show_{what}"),
                key=f"class_poll_{what}",
                shortcut=key,
                type="primary" if what == "everything" else "secondary",
                on_click=_press,
                args=(place, since, "nothing" if is_on else what),
            )
        named = recall(NAMES, False)
        st.button(
            say("poll.hide_names" if named else "poll.show_names"),
            key="class_poll_names",
            shortcut="n",
            type="tertiary",
            on_click=remember,
            args=(NAMES, not named),
        )


def _press(place: int, since: float, wanted: Shown) -> None:
    remember(_memory(place, since), wanted)
    if wanted != "nothing":
        screen().tell(place)


def _count(found: Answers) -> str:
    """How many have predicted, of how many."""
    if not found.learners:
        return say("poll.nobody_joined")
    made = len(found.guesses) + found.late
    if not made:
        return say("poll.none", learners=found.learners)
    return say("poll.count", made=made, learners=found.learners)


def _apart(found: Answers) -> list[str]:
    """What is not in the chart, and why."""
    counts = {"late": found.late, "strange": found.strange, "unread": found.unread}
    return [say(f"poll.{name}", count=count) for name, count in counts.items() if count]


def _who(found: Answers) -> None:
    """Who has predicted and who has not; not what."""
    if found.guesses:
        st.markdown(say("poll.have", names=_listed([one.nickname for one in found.guesses])))
    if found.missing:
        st.markdown(say("poll.missing", names=_listed(found.missing)))


def _who_said(book: Book, block: Predict, found: Answers) -> None:
    """Who predicted what, in the order of the answers."""
    for number in range(len(block.choices)):
        names = [one.nickname for one in found.guesses if one.choice == number]
        if names:
            st.markdown(f"**{charts.letter(number)}** · {_listed(names)}")
    if not block.choices and found.guesses:
        unit = unit_of(block).symbol
        made = sorted(found.guesses, key=_number)
        st.markdown(" · ".join(f"{UserText(one.nickname).md()} {_number(one):g} {unit}" for one in made))


def _number(guess: Guess) -> float:
    return guess.number or 0.0


def _listed(names: Sequence[str]) -> str:
    return " · ".join(UserText(name).md() for name in names)
