"""What a learner's page says while the teacher shows a lesson: which one, whether a prediction is wanted, and the way
there."""

from __future__ import annotations

import streamlit as st

from core.errors import UserError
from core.lessons.diary import fits, read_diary
from core.lessons.titles import Title, title_of
from core.text.escaping import UserText
from dashboard.classroom.showing import Showing, screen
from dashboard.i18n import language, say
from dashboard.learn import lessons
from dashboard.session import raw_query, root, workspace

EVERY = 4.0  # seconds until the teacher's screen is looked at again


@st.fragment(run_every=EVERY)
def show(page: str) -> None:
    """A line on top of the page at that address, as long as something is shown."""
    showing = screen().now()
    title = None if showing is None else title_of(showing.lesson, language(), workspace(), root())
    if showing is None or title is None:
        return
    is_open = page == "learn" and raw_query("lesson") == showing.lesson
    with st.container(horizontal=True, vertical_alignment="center", key="class_invitation"):
        st.info(_told(showing, title), icon=":material/present_to_all:", width="stretch")
        if not is_open and lessons.find(showing.lesson, language()) is not None:
            name = say("poll.go_predict" if _is_wanted(showing) else "poll.go")
            st.page_link("app_pages/learn.py", label=name, query_params={"lesson": showing.lesson})


def _told(showing: Showing, title: Title) -> str:
    name = UserText(title.text).md()
    told = (
        say("poll.own_lesson", title=name) if title.number is None else say("poll.lesson", n=title.number, title=name)
    )
    if showing.place is None:
        return say("poll.shows", lesson=told)
    return say("poll.asks" if _is_wanted(showing) else "poll.is_in", lesson=told)


def _is_wanted(showing: Showing) -> bool:
    """Whether the learner has yet to make the prediction that is asked for."""
    lesson = lessons.find(showing.lesson, language())
    if showing.place is None or lesson is None or showing.place >= len(lesson.predictions):
        return False
    try:
        made = read_diary(workspace(), showing.lesson).predictions.get(str(showing.place))
    except UserError:
        return False
    return made is None or not fits(lesson.predictions[showing.place], made)
