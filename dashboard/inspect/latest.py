"""The newest answer to the question of a view: kept for this session until the view asks something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st

from core.errors import UserError, UserErrors
from core.questions.request import Request
from dashboard import faults
from dashboard.data import asking
from dashboard.i18n import say
from dashboard.session import forget, recall, remember

AT_ONCE = 4.0  # seconds for which the page waits before it is drawn without an answer

A = TypeVar("A")


@dataclass(frozen=True)
class Found(Generic[A]):
    """What came of a question."""

    request: Request[A]
    answer: A | None = None
    error: UserError | UserErrors | None = None
    details: str = ""


def latest(slot: str, request: Request[A]) -> Found[A] | None:
    """What is known of the request; asked for where nothing is, one question of a slot at a time."""
    found = _kept(slot, request)
    if found is None and asking.asked(slot) is None and asking.begin(slot, request):
        asking.wait_for(slot, AT_ONCE)
        found = _kept(slot, request)
    return found


def _kept(slot: str, request: Request[A]) -> Found[A] | None:
    outcome = asking.outcome(slot)
    if outcome is not None:
        remember(_key(slot), Found(outcome.asked.request, outcome.answer, outcome.error, outcome.details))
    found: Found[A] | None = recall(_key(slot), None)
    return found if found is not None and found.request == request else None


def answer(slot: str, request: Request[A]) -> A | None:
    """The answer, if it is there; else the page says what goes on, or why there is none and offers to ask again."""
    found = latest(slot, request)
    if found is None:
        asking.watch(slot)
    elif found.error is not None:
        faults.refused(found.error, found.details)
        st.button(say("inspect.again"), key=f"{slot.replace('.', '_')}_again", on_click=forget, args=(_key(slot),))
    return found.answer if found is not None else None


def _key(slot: str) -> str:
    return f"{slot}_found"
