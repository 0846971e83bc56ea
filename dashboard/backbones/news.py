"""What came of the last question of this page, and whose weights are on this machine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import streamlit as st

from core.errors import UserError
from core.questions.add_backbone import AddedBackbone
from core.questions.import_network import ImportedNetwork, ImportNetworkRequest
from core.questions.search_backbones import FoundBackbones
from core.questions.time_backbones import BackboneTimes
from core.questions.weights_here import WeightsHereRequest
from core.text import formatting
from core.text.escaping import UserText
from core.workspace_files.uploads import drop
from dashboard import engine_words, faults
from dashboard.backbones import own
from dashboard.backbones.view import WORK
from dashboard.data import asking
from dashboard.data.asking import Outcome
from dashboard.i18n import say
from dashboard.session import forget, read_only, recall, remember, workspace

NEWS, HERE, SLOT = "backbones.news", "backbones.here", "backbones.weights"


def take() -> None:
    """Takes what has come."""
    found = asking.outcome(WORK)
    if found is None:
        return
    if isinstance(found.asked.request, ImportNetworkRequest):
        with suppress(OSError):  # else it is tidied up later
            drop(workspace(), Path(found.asked.request.path))
    if isinstance(found.answer, FoundBackbones):
        remember(own.FOUND, found.answer)
        forget(NEWS)
    else:
        remember(NEWS, found)


def show() -> None:
    """Tells it, until something else is asked."""
    found: Outcome | None = recall(NEWS, None)
    if found is None or asking.asked(WORK) is not None:
        return
    if found.error is not None:
        if isinstance(found.error, UserError) and found.error.code == "cancelled":
            st.caption(say("backbones.cancelled"))
        else:
            faults.refused(found.error, found.details)
    elif isinstance(found.answer, AddedBackbone):
        st.success(say("backbones.added", name=UserText(str(found.answer.facts["name"])).md()))
    elif isinstance(found.answer, ImportedNetwork):
        st.success(say("backbones.imported", name=UserText(found.answer.model).md(), classes=found.answer.classes))
        for note in found.answer.notes:
            st.caption(engine_words.md(note))
    elif isinstance(found.answer, BackboneTimes):
        _times(found.answer)


def _times(found: BackboneTimes) -> None:
    for row in found.rows:
        noisy = f" {say('backbones.noisy')}" if row.noisy else ""
        told = say(
            "backbones.timed",
            name=UserText(row.backbone).md(),
            p50=formatting.two_digits(row.p50),
            p95=formatting.two_digits(row.p95),
            count=row.n,
            side=row.image_size,
        )
        st.markdown(told + noisy)
    for each in found.failed:
        reason = engine_words.md(each.reason)
        st.caption(say("backbones.untimed", name=UserText(each.backbone).md(), reason=reason))


def here(names: Sequence[str]) -> Collection[str]:
    """Whose weights are on this machine; asked once, where somebody is there to answer."""
    found = asking.outcome(SLOT)
    if found is not None:
        remember(HERE, (tuple(names), frozenset(found.answer.backbones) if found.answer is not None else frozenset()))
    asked, known = recall(HERE, ((), frozenset[str]()))
    if asked != tuple(names) and asking.asked(SLOT) is None and asking.attended() and not read_only():
        asking.begin(SLOT, WeightsHereRequest(tuple(names)))
    return known
