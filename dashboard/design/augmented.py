"""What augmentation makes of the first images of training, on a step's card: the pixels that training will see."""

from __future__ import annotations

import base64

import streamlit as st

from core.questions.augmented import Augmented, AugmentedRequest
from core.recipe import Recipe
from dashboard import faults
from dashboard.data import asking
from dashboard.i18n import say
from dashboard.session import read_only, recall, remember

SLOT, FOUND = "design.augmented", "design.augmented_found"
METHODS = ("fine_tune", "partial")  # those that train on the labelled images as they come


def show(place: int, recipe: Recipe) -> None:
    """A button, and the images it asked for, while the recipe is as it was then."""
    step = recipe.steps[place]
    if step.stage != "transfer" or step.method not in METHODS:
        return
    found = asking.outcome(SLOT)
    if found is not None:
        remember(FOUND, found)
    asked = AugmentedRequest(recipe.to_toml(), place)
    st.button(
        say("design.augmented"),
        key=f"design_augmented_{place}",
        icon=":material/photo_filter:",
        type="tertiary",
        on_click=begin,
        args=(asked,),
        help=say("design.augmented_help"),
        disabled=read_only() or asking.asked(SLOT) is not None,
    )
    asking.watch(SLOT, quiet=True)
    known: asking.Outcome | None = recall(FOUND, None)
    if known is None or known.asked.request != asked:
        return
    if known.error is not None:
        faults.refused(known.error, known.details)
    elif isinstance(known.answer, Augmented):
        _rows(known.answer)


def begin(asked: AugmentedRequest) -> None:
    """Asks for the images."""
    asking.begin(SLOT, asked)


def _rows(found: Augmented) -> None:
    for part, picture in (("before", found.before), ("after", found.after)):
        st.caption(say(f"design.augmented_{part}"))
        st.image(base64.b64decode(picture), alt=say(f"design.augmented_{part}_alt", count=found.images))
