"""A prediction in words."""

from __future__ import annotations

from core import formatting
from core.classroom.overview import Predicted
from dashboard.i18n import say


def told_value(one: Predicted) -> str:
    """The number as it was predicted, or which answer was chosen."""
    if one.number is not None:
        return formatting.two_digits(one.number)
    return say("classroom.answer", n=one.choice or 0)
