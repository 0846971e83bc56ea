"""A lesson from top to bottom: what stands behind a prediction is drawn once it was made."""

from __future__ import annotations

import streamlit as st

from core.comparison.speed import unlike
from core.lessons.blocks import Block, Chart, Claim, Knob, Lesson, Paragraph, Predict, Question
from core.lessons.diary import forget_diary
from core.lessons.references import timed_under
from core.text.escaping import UserText
from core.text.glossary import load_glossary
from dashboard import faults, machines, terms
from dashboard.i18n import language, say
from dashboard.learn import acting, drawn, lessons, predicting
from dashboard.learn.book import Book, all_hold, holding, keep, open_book
from dashboard.session import forget, put_query, read_only, widget, workspace

HEADING = "####"  # of a part of a lesson, whose title is of the third level


def draw(lesson: Lesson) -> None:
    """The whole lesson, as far as the learner has come."""
    book = open_book(lesson)
    _head(book)
    if book.fault is not None:
        faults.refused(book.fault)
    with st.container(key="learn_lesson", width=820):
        st.subheader(book.told(lesson.question), anchor=False)
        terms.below(terms.links([load_glossary().terms[name] for name in lesson.terms]))
        if _blocks(book):
            _end(book)


def _head(book: Book) -> None:
    lesson = book.lesson
    with st.container(horizontal=True, vertical_alignment="center", key="learn_head"):
        st.button(say("learn.back"), icon=":material/arrow_back:", key="learn_back", on_click=lessons.leave)
        st.markdown(
            f"**{UserText(lesson.title).md()}** · {say('learn.minutes', count=lesson.minutes)}", width="content"
        )
        st.button(
            say("learn.present"),
            icon=":material/present_to_all:",
            key="learn_present",
            type="tertiary",
            on_click=put_query,
            args=("present", "1"),
        )
        if book.diary.predictions or book.diary.answers:
            st.button(
                say("learn.again"),
                icon=":material/restart_alt:",
                key="learn_again",
                type="tertiary",
                on_click=_again,
                args=(lesson.id,),
                disabled=read_only(),
                help=say("learn.again_help"),
            )


def _again(lesson_id: str) -> None:
    forget(f"learn.diary.{lesson_id}")
    forget_diary(workspace(), lesson_id)


def _blocks(book: Book) -> bool:
    """Draws the blocks; False where a prediction is still to be made. The learner acts after the first prediction, or
    after the knob where that stands below it."""
    guessed = acted = False
    knobbed = book.lesson.knob is None
    for place, block in enumerate(book.lesson.blocks):
        if not draw_block(book, block, place):
            return False
        guessed, knobbed = guessed or isinstance(block, Predict), knobbed or isinstance(block, Knob)
        if guessed and knobbed and not acted:
            acting.draw(book)
            acted = True
    return True


def draw_block(book: Book, block: Block, place: int, heading: str = HEADING) -> bool:
    """One block; False for a prediction that is not made yet. `heading` is the Markdown before headings."""
    match block:
        case Paragraph():
            text = book.told(block.text)
            st.markdown(f"{heading} {text}" if block.heading else text)
        case Predict():
            return predicting.draw(book, block, book.lesson.predictions.index(block))
        case Knob():
            acting.draw_knob(book, block)
        case Chart():
            drawn.draw(book, block, place)
        case Claim():
            claim(book, block)
        case Question():
            question(book, block, book.lesson.questions.index(block))
        case _:
            pass
    return True


def claim(book: Book, block: Claim) -> None:
    """The sentence, for how many prepared seeds it holds, and whether it does on the learner's own runs; where nothing
    decides that yet, it says so."""
    good, known = holding(book.lesson, block)
    pictures = any(ref.is_picture for condition in block.holds for ref in condition.references())
    told = [say("learn.holds_pictures" if pictures else "learn.holds", good=good, count=known)] if known else []
    own = all_hold(block.holds, book.own) if book.mine and not pictures else None
    if own is not None and (differing := unlike(timed_under(block.holds, book.mine))):
        told.append(say("learn.own_unlike", names=machines.names(differing)))
    elif own is not None:
        told.append(say(("learn.holds_own" if known else "learn.holds_own_alone") if own else "learn.not_own"))
    outcome = " · ".join(told) or say("learn.not_decided")
    st.markdown(f"{book.told(block.sentence)} :small[:gray[{outcome}]]")


def question(book: Book, block: Question, place: int) -> None:
    """The question to check; the answer is told with its reason."""
    given = book.answered(place)
    key = f"learn_answer_{book.lesson.id}_{place}"
    texts = [UserText(answer.text).md() for answer in block.answers]

    def chosen() -> None:
        held = widget(key, None)
        if held is not None:
            keep(book.diary, lambda diary: diary.answered(place, int(held)))

    with st.container(border=True, key=f"learn_question_{place}"):
        st.markdown(f":material/help: **{book.told(block.question)}**")
        st.radio(
            say("learn.answer"),
            range(len(texts)),
            index=given,
            key=key,
            label_visibility="collapsed",
            format_func=lambda n: texts[n],
            on_change=chosen,
        )
        if given is not None:
            answer = block.answers[given]
            why = book.told(answer.why)
            if answer.right:
                st.success(say("learn.right", why=why), icon=":material/check_circle:")
            else:
                st.info(say("learn.wrong", why=why), icon=":material/cancel:")


def remember_list(book: Book, heading: str = HEADING) -> None:
    """What to remember."""
    st.markdown(f"{heading} {say('learn.remember')}")
    st.markdown("\n".join(f"- {book.told(text)}" for text in book.lesson.remember))


def _end(book: Book) -> None:
    remember_list(book)
    paper(book.lesson)
    _next(book.lesson)


def paper(lesson: Lesson) -> None:
    found = lesson.paper
    name = UserText(found.title).md()
    told = say("learn.paper", authors=UserText(found.authors).md(), year=found.year, title=f"[{name}]({found.url})")
    st.markdown(told)


def _next(lesson: Lesson) -> None:
    every = lessons.every(language())
    places = [n for n, known in enumerate(every) if known.id == lesson.id]
    if places and places[0] + 1 < len(every):
        following = every[places[0] + 1]
        st.button(
            say("learn.next_lesson", title=UserText(following.title).md()),
            icon=":material/arrow_forward:",
            key="learn_next_lesson",
            on_click=lessons.open_lesson,
            args=(following.id,),
        )
