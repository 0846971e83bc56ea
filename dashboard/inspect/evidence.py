"""What the chosen points answered on the test images: read from where it is kept, else asked of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.comparison.flips import Flips, flips
from core.errors import UserError, UserErrors
from core.questions.answers import AnswersRequest
from core.run_files.answers import ABOUT, About, kept_at
from core.run_files.sides import Side, of_same_images
from core.statistics.confusion import Matrix, confusion
from core.storage.sealed import read_kept
from dashboard import faults
from dashboard.data import asking
from dashboard.i18n import say
from dashboard.inspect.choice import Choice
from dashboard.session import forget, read_only, recall, remember

SLOT, REFUSED = "inspect.answers", "inspect.refused"
UNREADABLE = (OSError, ValueError, KeyError, UserErrors)  # a UserError is a ValueError


@dataclass(frozen=True)
class Answered:
    """Of a point's file the probabilities [N, C] for the test images, their labels [N], and what is known of both;
    those of the validation images beside them, and the suspects [K, 3] of `core.run_files.answers`."""

    about: About
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    validation_probabilities: NDArray[np.float32]
    validation_labels: NDArray[np.int64]
    suspects: NDArray[np.int64]

    @cached_property
    def given(self) -> NDArray[np.int64]:
        """The answers [N]."""
        found: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return found

    @cached_property
    def confidences(self) -> NDArray[np.float32]:
        """The probabilities [N] of the answers."""
        found: NDArray[np.float32] = self.probabilities.max(axis=1)
        return found

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        return np.equal(self.given, self.labels)

    @cached_property
    def matrix(self) -> Matrix:
        """Images by class (row) and answer (column)."""
        return confusion(self.labels.tolist(), self.given.tolist(), len(self.about.classes))

    def name(self, label: int) -> str:
        """What a class is called, not escaped."""
        return self.about.classes[label]


@dataclass(frozen=True)
class Pair:
    """The chosen point's answers, and those of what it is held against; None: against nothing."""

    own: Answered
    other: Answered | None

    @cached_property
    def flips(self) -> Flips | None:
        """What became of the other's answers in the chosen point."""
        if self.other is None:
            return None
        return flips(self.own.labels.tolist(), self.other.given.tolist(), self.own.given.tolist())


def known(choice: Choice) -> Pair | None:
    """The answers as far as they are kept; None where those of the chosen point are not."""
    own = of(choice.side)
    if own is None or choice.against is None:
        return None if own is None else Pair(own, None)
    other = of(choice.against)
    same = other is not None and of_same_images(choice.side, choice.against)
    return Pair(own, other if same and other is not None and np.array_equal(own.labels, other.labels) else None)


def needed(choice: Choice) -> Pair | None:
    """The answers of both sides; None while they are computed, or where they cannot be, which is then told."""
    wanted = tuple(one.id for one in (choice.side, choice.against) if one is not None)
    _heard(wanted)
    missing = tuple(one.id for one in (choice.side, choice.against) if one is not None and of(one) is None)
    if not missing:
        pair = known(choice)
        if pair is not None and choice.against is not None and pair.other is None:
            st.warning(say("inspect.other_images"), icon=":material/image_not_supported:")
        return pair
    if not _refused(wanted):
        _ask(missing)
    return None


def of(side: Side) -> Answered | None:
    """What is kept of a point; None where nothing is, or it was damaged."""
    try:
        path = kept_at(side)
        return _read(str(path), path.stat().st_mtime_ns)
    except UNREADABLE:
        return None


@lru_cache(maxsize=8)
def _read(path: str, written: int) -> Answered | None:
    kept = read_kept(Path(path))
    if kept is None:
        return None
    with np.load(BytesIO(kept), allow_pickle=False) as found:
        about = ABOUT.validate_json(str(found["about"]))
        names = ("test_probabilities", "test_labels", "validation_probabilities", "validation_labels", "suspects")
        return Answered(about, *(found[name] for name in names))


def _heard(wanted: tuple[str, ...]) -> None:
    """Takes note of what came of the question."""
    found = asking.outcome(SLOT)
    if found is not None and found.error is not None:
        remember(REFUSED, (wanted, found.error, found.details))


def _refused(wanted: tuple[str, ...]) -> bool:
    """Tells why these answers could not be had, and offers to ask again."""
    refusal: tuple[tuple[str, ...], UserError | UserErrors, str] | None = recall(REFUSED, None)
    if refusal is None or refusal[0] != wanted:
        return False
    _, error, details = refusal
    if isinstance(error, UserError) and error.code == "cancelled":
        st.caption(say("inspect.stopped"))
    else:
        faults.refused(error, details)
    st.button(say("inspect.again"), key="inspect_again", icon=":material/refresh:", on_click=forget, args=(REFUSED,))
    return True


def _ask(missing: tuple[str, ...]) -> None:
    """Asks at once where somebody is there who answers, else when a person says so."""
    if asking.asked(SLOT) is None and read_only():
        st.info(say("inspect.read_only"), icon=":material/lock:")
        return
    if asking.asked(SLOT) is None and asking.attended():
        asking.begin(SLOT, AnswersRequest(missing))
    elif asking.asked(SLOT) is None:
        if st.button(say("inspect.compute"), type="primary", key="inspect_compute", icon=":material/play_arrow:"):
            asking.begin(SLOT, AnswersRequest(missing))
            st.rerun()
        st.caption(say("inspect.compute_help"))
    asking.watch(SLOT)
