"""A prediction: asked before the results are seen, kept, and put beside them."""

from __future__ import annotations

import time
from collections import Counter

import streamlit as st

from core.lessons.blocks import Predict
from core.lessons.diary import Diary, Prediction, asked_of, fits
from core.lessons.metrics import UNITS, Unit, written
from core.lessons.references import Look
from core.text.escaping import UserText
from dashboard.i18n import aside, say
from dashboard.learn.book import Book, keep
from dashboard.session import widget

STEPS = 100  # of the slider
VARYING = ("share", "latency")  # kinds of figures that chance has a part in


def draw(book: Book, block: Predict, place: int) -> bool:
    """The question and, once it is answered, prediction and result; False while it is not answered."""
    made = book.predicted(place)
    with st.container(border=True, key=f"learn_predict_{place}"):
        st.markdown(f":material/psychology: **{book.told(block.question)}**")
        if made is None:
            _ask(book, block, place)
        else:
            _reveal(book, block, made)
    return made is not None


def unit_of(block: Predict) -> Unit:
    """The unit that a number is predicted in."""
    assert block.about is not None
    return UNITS[block.about.kind]


def figure_of(block: Predict, made: Prediction) -> float | None:
    """What was predicted, in the base unit of the figure; None for a choice."""
    return None if made.number is None or block.about is None else made.number * unit_of(block).scale


def _ask(book: Book, block: Predict, place: int) -> None:
    key = f"learn_guess_{book.lesson.id}_{place}"
    if block.choices:
        texts = [choice.text for choice in block.choices]
        st.radio(
            say("learn.prediction"),
            range(len(texts)),
            index=None,
            key=key,
            label_visibility="collapsed",
            format_func=lambda n: UserText(texts[n]).md(),
        )
    else:
        step = (block.high - block.low) / STEPS
        st.slider(
            say("learn.prediction_in", unit=unit_of(block).symbol),
            block.low,
            block.high,
            (block.low + block.high) / 2,
            step,
            key=key,
            format="%.3g",
        )
    waits = bool(block.choices) and widget(key, None) is None
    st.button(
        say("learn.predict"),
        type="primary",
        key=f"learn_predict_button_{place}",
        icon=":material/check:",
        disabled=waits,
        on_click=_made,
        args=(book, block, place, key),
    )
    st.caption(say("learn.opens"))


def _made(book: Book, block: Predict, place: int, key: str) -> None:
    held = widget(key, None)
    if held is None:
        return
    told = {"choice": int(held)} if block.choices else {"number": float(held)}
    made = Prediction.model_validate({**told, "made": time.time(), "asked": asked_of(block)})

    def predict(diary: Diary) -> Diary:
        before = diary.predictions.get(str(place))
        is_of_another = before is not None and not fits(block, before)
        return (diary.unpredicted(place) if is_of_another else diary).predicted(place, made)

    keep(book.diary, predict)


def _reveal(book: Book, block: Predict, made: Prediction) -> None:
    if block.choices:
        _reveal_choice(book, block, made.choice or 0)
        return
    predicted = figure_of(block, made)
    assert block.about is not None
    kind = block.about.kind
    st.markdown(say("learn.predicted", prediction=f"**{written(kind, predicted)}**"))
    looks = [("pictured", book.prepared)] if block.about.is_picture else _looks(book)
    for name, look in looks:
        found = look(block.about)
        if found is not None and predicted is not None:
            off = f"{100 * abs(found - predicted):.1f}" if kind == "share" else written(kind, abs(found - predicted))
            told = say("learn.off_points" if kind == "share" else "learn.off", off=off)
            st.markdown(say(f"learn.{name}_is", figure=f"**{written(kind, found)}**", off=told))


def _reveal_choice(book: Book, block: Predict, chosen: int) -> None:
    texts = [UserText(choice.text).md() for choice in block.choices]
    st.markdown(say("learn.predicted", prediction=f"**{texts[min(chosen, len(texts) - 1)]}**"))
    for name, look in _looks(book):
        right = came_true(block, look)
        if right is not None:
            told = say("learn.as_predicted" if right == chosen else "learn.not_as_predicted")
            st.markdown(say(f"learn.{name}_is", figure=f"**{texts[right]}**", off=told))
            if caveat := seeds_told(book, block) if name == "prepared" else own_told(block):
                st.caption(caveat)


def seeds_told(book: Book, block: Predict) -> str:
    """That one prepared seed answers otherwise than another, where it does: what is shown is only their mean."""
    counts = Counter(right for look in book.seeds if (right := came_true(block, look)) is not None)
    if len(counts) < 2:
        return ""
    texts = [UserText(choice.text).md() for choice in block.choices]
    told = " · ".join(aside(texts[right], str(counts[right])) for right in sorted(counts))
    return say("learn.seeds_differ", count=counts.total(), outcomes=told)


def own_told(block: Predict) -> str:
    """That a learner's own runs are of one seed each, where what decides would not be the same with another."""
    decisive = (ref for choice in block.choices if choice.when for ref in choice.when.references())
    return say("learn.own_seed") if any(ref.kind in VARYING for ref in decisive) else ""


def _looks(book: Book) -> list[tuple[str, Look]]:
    """Where results come from: what came with the lesson, and the learner's own runs."""
    own = [("own", book.own)] if book.mine else []
    return ([("prepared", book.prepared)] if book.has_prepared else []) + own


def came_true(block: Predict, look: Look) -> int | None:
    """The first choice whose condition holds; None while a figure that decides is missing."""
    for place, choice in enumerate(block.choices):
        held = True if choice.when is None else choice.when.holds(look)
        if held is None:
            return None
        if held:
            return place
    return None
