"""A prediction or an answer in words, and what a corner is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from core.classroom.overview import Corner, Predicted
from core.lessons import lesson_files
from core.lessons.blocks import Lesson
from core.lessons.metrics import UNITS
from core.points import Point
from core.text import formatting
from core.workspace import Workspace
from dashboard.i18n import aside, headed, language, listed, say

T = TypeVar("T")


def called(corner: Corner) -> str:
    """The nickname as it was typed; of a hand-in with what its seal proves, since the learner may be there as well, and
    of somebody who was taken out with that, since another may be called so now."""
    learner = corner.learner
    if learner.proof:
        return aside(learner.nickname, say(f"classroom.proof_{learner.proof}"))
    return aside(learner.nickname, say("classroom.is_removed")) if learner.removed else learner.nickname


def lessons_of(*stores: Workspace) -> dict[str, Lesson]:
    """The bundled lessons and the own ones of these workspaces, those of the first before the others', by id."""
    own = [lesson for store in reversed(stores) for lesson in lesson_files.own(store, language())]
    return {lesson.id: lesson for lesson in [*own, *lesson_files.bundled(language())]}


def result(point: Point) -> str:
    """Test accuracy and size of a run's last saved file."""
    return listed((formatting.accuracy(point), formatting.size(point.bytes)))


def worded(one: Predicted, lesson: Lesson | None) -> str:
    """Which one it is, and what was predicted or answered, in the lesson's words where it is here and has them."""
    kind = say("classroom.question" if one.is_answer else "classroom.prediction")
    told = _answered(one, lesson) if one.is_answer else _predicted(one, lesson)
    return headed(f"{kind} {one.place}", told or _bare(one))


def _bare(one: Predicted) -> str:
    """Without the lesson: the number, or which answer was chosen."""
    if one.number is not None:
        return f"{one.number:g}"
    return say("classroom.answer", n=one.choice or 0)


def _predicted(one: Predicted, lesson: Lesson | None) -> str:
    block = _at(() if lesson is None else lesson.predictions, one.place)
    if block is None:
        return ""
    if one.number is not None:
        return f"{one.number:g} {UNITS[block.about.kind].symbol}" if block.about else ""
    choice = _at(block.choices, one.choice or 0)
    return "" if choice is None else choice.text


def _answered(one: Predicted, lesson: Lesson | None) -> str:
    block = _at(() if lesson is None else lesson.questions, one.place)
    answer = None if block is None else _at(block.answers, one.choice or 0)
    if answer is None:
        return ""
    return say("classroom.answered_right" if answer.right else "classroom.answered_wrong", text=answer.text)


def _at(parts: Sequence[T], place: int) -> T | None:
    """The `place`-th from 1; None where there is none."""
    return parts[place - 1] if 1 <= place <= len(parts) else None
