"""The album: the test images on which the models disagree. A click puts one to all of them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserErrors
from core.questions.disagreements import Disagreements, DisagreementsRequest, Disputed
from core.run_files.sides import Side
from core.text.escaping import UserText
from dashboard import faults
from dashboard.data import asking
from dashboard.data.asking import Outcome
from dashboard.i18n import headed, say
from dashboard.picture_row import Tile, picture_row
from dashboard.session import read_only, recall, remember
from dashboard.tryit.models import heading

SLOT, FOUND, CHOSEN = "tryit.album", "tryit.album_found", "tryit.album_chosen"


def show(models: Sequence[Side]) -> None:
    """Looked for on request, with progress; what was found stays until other models are looked at."""
    st.subheader(say("tryit.album"), anchor=False)
    st.caption(say("tryit.album_help"))
    names = tuple(one.id for one in models)
    if (outcome := asking.outcome(SLOT)) is not None:
        remember(FOUND, outcome)
    known: Outcome | None = recall(FOUND, None)
    st.button(
        say("tryit.album_start"),
        key="tryit_album_start",
        icon=":material/compare:",
        on_click=_ask,
        args=(names,),
        disabled=read_only() or len(models) < 2 or asking.asked(SLOT) is not None,
        help=None if len(models) > 1 else say("tryit.album_two"),
    )
    asking.watch(SLOT)
    if known is None or getattr(known.asked.request, "points", None) != names:
        return
    if known.error is not None:
        _refused(known)
    elif isinstance(known.answer, Disagreements):
        draw(models, known.answer)


def _ask(names: tuple[str, ...]) -> None:
    asking.begin(SLOT, DisagreementsRequest(names))


def _refused(known: Outcome) -> None:
    if known.error is not None and not isinstance(known.error, UserErrors) and known.error.code == "cancelled":
        st.caption(say("tryit.album_stopped"))
    elif known.error is not None:
        faults.refused(known.error, known.details)


def draw(models: Sequence[Side], found: Disagreements) -> None:
    """The counts, the pictures, and what each model takes the chosen one for."""
    if len(found.points) < len(models):
        st.caption(say("tryit.album_left_out", count=len(models) - len(found.points)))
    if not found.disagreed:
        st.success(say("tryit.album_none", images=f"{found.images:,}"))
        return
    shown = len(found.shown)
    st.markdown(say("tryit.album_found", count=f"{found.disagreed:,}", images=f"{found.images:,}", shown=shown))
    tiles = [Tile(str(one.place), one.picture, _words(one, found)) for one in found.shown]
    chosen: str = recall(CHOSEN, "")
    picture_row(
        tiles,
        key="tryit_album",
        label=say("tryit.album"),
        chosen=chosen,
        told=True,
        on_pick=lambda ident: remember(CHOSEN, ident),
    )
    one = next((one for one in found.shown if str(one.place) == chosen), None)
    if one is not None:
        _guesses(models, one, found)


def _words(one: Disputed, found: Disagreements) -> str:
    """What it is, and what it is taken for."""
    said = dict.fromkeys(found.classes[guess.index] for guess in one.guesses)
    return say("tryit.album_words", label=found.classes[one.label], said=" / ".join(said))


def _guesses(models: Sequence[Side], one: Disputed, found: Disagreements) -> None:
    """A line a model."""
    names = {model.id: model for model in models}
    for name, guess in zip(found.points, one.guesses, strict=True):
        mark = "✓" if guess.index == one.label else "✗"
        label = UserText(found.classes[guess.index]).md()
        st.markdown(headed(f"{mark} {heading(names[name])}", f"**{label}** {100 * guess.probability:.1f} %"))
