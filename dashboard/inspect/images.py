"""Test images with what the two points answered: drawn by the engine where they are not in the cache yet."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError, UserErrors
from core.questions.pictures import PicturesRequest, Split
from core.text import formatting
from core.text.escaping import UserText
from core.workspace_files.pictures import kept_picture
from dashboard import faults
from dashboard.data import asking
from dashboard.i18n import say
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Answered, Pair
from dashboard.session import put_query, read_only, recall, remember, workspace

SLOT, REFUSED = "inspect.pictures", "inspect.pictures_refused"
PLACE = "place"  # the parameter that names a test image
AT_ONCE = 9  # images shown; a button shows as many more
MOST = 60
NARROW = "\u00a0"  # a space that does not break
TILE = 132  # pixels wide: three beside each other next to a chart


def gallery(choice: Choice, pair: Pair, places: Sequence[int], key: str) -> None:
    """The images at these places of the test split in their order, the first ones at once."""
    count = min(int(recall(f"inspect.shown_{key}", AT_ONCE)), MOST, len(places))
    shown = list(places[:count])
    drawn = pictures(choice, shown, "test")
    with st.container(horizontal=True, gap="small", key=f"inspect_images_{key}"):
        for place in shown:
            _tile(pair, place, drawn.get(place), key)
    if count < min(len(places), MOST):
        st.button(
            say("inspect.more", count=min(AT_ONCE, len(places) - count)),
            key=f"inspect_more_{key}",
            icon=":material/expand_more:",
            on_click=remember,
            args=(f"inspect.shown_{key}", count + AT_ONCE),
        )
    elif len(places) > MOST:
        st.caption(say("inspect.most", most=MOST, count=f"{len(places):,}"))
    asking.watch(SLOT, quiet=True)


def _tile(pair: Pair, place: int, picture: bytes | None, key: str) -> None:
    label = pair.own.name(int(pair.own.labels[place]))
    with st.container(width=TILE, gap="xxsmall", border=True):
        if picture is not None:
            alt = say("inspect.image_alt", place=place, label=UserText(label).plain())
            st.image(picture, width=TILE - 34, alt=alt)
        st.markdown(f"**{UserText(label).md()}**")
        lines = [("now", pair.own)] + ([("before", pair.other)] if pair.other is not None else [])
        st.caption("  \n".join(_answer(name, answered, place) for name, answered in lines))
        st.button(
            say("inspect.look"),
            key=f"inspect_look_{key}_{place}",
            icon=":material/visibility:",
            type="tertiary",
            help=say("inspect.look_help"),
            on_click=_look,
            args=(place,),
        )


def _look(place: int) -> None:
    """Opens the view Where it looks on a test image."""
    put_query(PLACE, str(place))
    put_query("view", "saliency")


def _answer(when: str, answered: Answered, place: int) -> str:
    """One side's answer with its probability."""
    given = UserText(answered.name(int(answered.given[place]))).md()
    mark = "✓" if answered.right[place] else "✗"
    sure = formatting.percent(float(answered.confidences[place]), 0).replace(" ", NARROW)
    return say(f"inspect.answer_{when}", mark=mark, answer=given, share=sure)


def pictures(choice: Choice, places: Sequence[int], split: Split) -> dict[int, bytes]:
    """The images of a split that are in the cache; the others are asked for, and come when that is done."""
    _heard(choice)
    try:
        looked = {place: kept_picture(workspace(), choice.run, split, place) for place in places}
    except (UserErrors, OSError, ValueError):
        looked = {}
    found = {place: picture for place, picture in looked.items() if picture is not None}
    missing = tuple(place for place in places if place not in found)
    if missing and not _refused(choice) and not read_only() and asking.asked(SLOT) is None:
        if asking.attended():
            asking.begin(SLOT, PicturesRequest(choice.run.id, split, missing))
        else:
            st.caption(say("inspect.no_pictures"))
    return found


def _heard(choice: Choice) -> None:
    found = asking.outcome(SLOT)
    if found is not None and found.error is not None:
        remember(REFUSED, (choice.run.id, found.error, found.details))


def _refused(choice: Choice) -> bool:
    """Tells why the images of a run cannot be shown."""
    refusal: tuple[str, UserError | UserErrors, str] | None = recall(REFUSED, None)
    if refusal is None or refusal[0] != choice.run.id:
        return False
    faults.refused(refusal[1], refusal[2])
    return True
