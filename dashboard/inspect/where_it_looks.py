"""Where the chosen model, and what it is held against, see the reason for a class in a test image."""

from __future__ import annotations

import base64

import numpy as np
import streamlit as st

from core.questions.saliency import Look, Method, Saliency, SaliencyRequest
from core.run_files.sides import Side
from core.text.escaping import UserText
from dashboard import components
from dashboard.i18n import say
from dashboard.inspect import latest
from dashboard.inspect.choice import Choice
from dashboard.inspect.images import PLACE
from dashboard.picture_row import Tile, as_png, picture_row
from dashboard.session import put_query, raw_query, read_only, widget
from dashboard.tradeoffs import answers as kept_answers

SLOT = "inspect.saliency"
METHODS: dict[str, Method | None] = {
    "both": None,
    "grad_cam": "grad_cam",
    "rollout": "rollout",
    "occlusion": "occlusion",
}
AT_HAND = 16  # test images to click
FARTHEST = 10**7  # the largest number of an image that is asked for
WIDTH = 260  # pixels of a map


def show(choice: Choice) -> None:
    """An image to choose, and its maps."""
    st.caption(say("saliency.about"))
    place = chosen_place()
    _images(choice.side, place)
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect_saliency"):
        key = f"inspect_place_{place}"  # one set from here may answer its old value: a widget of its own for each
        st.number_input(
            say("saliency.place"), 0, FARTHEST, place, 1, key=key, width=180, on_change=_chosen, args=(key,)
        )
        method = st.segmented_control(
            say("saliency.method"),
            list(METHODS),
            default="both",
            required=True,
            key="inspect_saliency_method",
            format_func=lambda name: say(f"saliency.method_{name}"),
            help=say("saliency.method_help"),
        )
    if read_only():
        st.info(say("saliency.read_only"), icon=":material/lock:")
        return
    points = tuple(side.id for side in (choice.side, choice.against) if side is not None)
    found = latest.answer(SLOT, SaliencyRequest(points, place, None, METHODS[method or "both"]))
    if found is not None:
        draw([side for side in (choice.side, choice.against) if side is not None], found)


def chosen_place() -> int:
    """The test image that the address names, else the first."""
    given = raw_query(PLACE) or ""
    return min(int(given), FARTHEST) if given.isdecimal() else 0


def _chosen(key: str) -> None:
    put_query(PLACE, str(widget(key, 0)))


def _images(side: Side, place: int) -> None:
    """Test images at hand, those kept beside the model's file."""
    kept = kept_answers.kept(side.run, side.point)
    images = kept_answers.pictures(kept.folder) if kept is not None else []
    if kept is None or not images:
        return
    tiles = [Tile(str(n), as_png(images[n]), kept.classes[kept.labels[n]]) for n in range(min(AT_HAND, len(images)))]
    picture_row(
        tiles,
        key="inspect_saliency_images",
        label=say("saliency.images"),
        chosen=str(place),
        on_pick=lambda ident: put_query(PLACE, ident),
    )


# showing


def draw(sides: list[Side], found: Saliency) -> None:
    """How it was made, the image, and a map a model."""
    label, target = (UserText(found.classes[n]).md() for n in (found.label, found.target))
    asked = "saliency.question_rollout" if found.method == "rollout" else "saliency.question"
    st.markdown(say(asked, label=label, target=target))
    st.caption(f"{say(f'saliency.{found.method}')} {say(f'saliency.why_{found.why}')}")
    with st.container(horizontal=True, gap="medium", key="inspect_saliency_maps"):
        with st.container(width=WIDTH, gap="xsmall"):
            st.markdown(say("saliency.image"))
            st.image(base64.b64decode(found.picture), width=WIDTH, alt=say("saliency.image_alt", label=label))
        for side, look in zip(sides, found.looks, strict=True):
            with st.container(width=WIDTH, gap="xsmall"):
                _map(side, look, found)
    if found.overlap is not None:
        st.markdown(say("saliency.overlap", share=f"{100 * found.overlap:.0f}"))
    st.caption(say("saliency.warning_rollout" if found.method == "rollout" else "saliency.warning"))


def _map(side: Side, look: Look, found: Saliency) -> None:
    st.markdown(components.heading(side.point, control=bool(side.point.control)))
    place = where(look, found.method)
    st.image(base64.b64decode(look.overlay), width=WIDTH, alt=place)
    answer, target = (UserText(found.classes[n]).md() for n in (look.answer, found.target))
    told = say("saliency.answer", label=answer, share=f"{100 * look.probability:.1f}")
    if look.answer != found.target:
        told += " " + say("saliency.asked", label=target, share=f"{100 * look.asked:.1f}")
    st.caption(f"{told}  \n{place}")


def where(look: Look, method: Method) -> str:
    """The place where the map is highest, in words."""
    if look.peak is None:
        return say("saliency.evenly" if method == "rollout" else "saliency.nowhere")
    row, column = (int(np.clip(3 * share, 0, 2)) for share in look.peak)
    return say("saliency.where", place=say(f"saliency.at_{row}{column}"))
