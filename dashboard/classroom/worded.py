"""A prediction or an answer in words."""

from __future__ import annotations

from core.classroom.overview import Predicted
from dashboard.i18n import say


def worded(one: Predicted) -> str:
    """Which one it is, and what was predicted or answered."""
    kind = say("classroom.question" if one.is_answer else "classroom.prediction")
    return f"{kind} {one.place}: {_value(one)}"


def _value(one: Predicted) -> str:
    """The number as it was predicted, or which answer was chosen."""
    if one.number is not None:
        return f"{one.number:g}"
    return say("classroom.answer", n=one.choice or 0)
