"""The left side of Try it: a test image at hand, a file, the camera, or a drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.run_files.sides import Side
from core.text.formatting import size
from dashboard.draw_pad import draw_pad
from dashboard.i18n import say
from dashboard.picture_row import Tile, as_png, picture_row
from dashboard.session import recall, remember
from dashboard.tradeoffs import answers as kept_answers
from dashboard.tryit.given import Given, give, given, take_away

AT_HAND = 8
LARGEST = 200 * 10**6  # bytes, as dashboard/.streamlit/config.toml has it
FORMATS = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"]


def choose(models: Sequence[Side]) -> None:
    """Puts a picture where `given` finds it."""
    grey = _is_grey(models[0])
    sources = [name for name in SOURCES if name != "draw" or grey]
    source = st.segmented_control(
        say("tryit.source"),
        sources,
        default=sources[0],
        required=True,
        key=f"tryit_source_{grey}",
        format_func=lambda name: say(f"tryit.source_{name}"),
        label_visibility="collapsed",
        on_change=_out_of_sight,
        args=(models[0].run.id,),
    )
    SOURCES[source](models)
    st.caption(say("tryit.privacy"))


def _out_of_sight(run: str) -> None:
    """A test image that is no longer in sight is not tried any more: nobody would know whose answers these are."""
    now = given(run)
    if now is not None and not now.own:
        take_away()


def _at_hand(models: Sequence[Side]) -> None:
    tiles = samples(models[0])
    if not tiles:
        st.caption(say("tryit.no_samples"))
        return
    words, run = {tile.ident: tile.words for tile in tiles}, models[0].run.id
    if given(run) is None:
        give(Given(sample=int(tiles[0].ident), truth=tiles[0].words, run=run))
    now = given(run)
    picture_row(
        tiles,
        key="tryit_samples",
        label=say("tryit.samples"),
        chosen=str(now.sample) if now else "",
        on_pick=lambda ident: give(Given(sample=int(ident), truth=words[ident], run=run)),
    )


def _upload(models: Sequence[Side]) -> None:
    file = st.file_uploader(say("tryit.upload"), type=FORMATS, key="tryit_upload", help=say("tryit.upload_help"))
    _take(file, "upload")


def _camera(models: Sequence[Side]) -> None:
    st.caption(say("tryit.camera_help"))
    _take(st.camera_input(say("tryit.camera"), key="tryit_camera"), "camera")


def _draw(models: Sequence[Side]) -> None:
    draw_pad(key="tryit_pad", on_drawn=_drawn)
    st.caption(say("tryit.draw_help"))


SOURCES: Mapping[str, Callable[[Sequence[Side]], None]] = {
    "samples": _at_hand,
    "upload": _upload,
    "camera": _camera,
    "draw": _draw,
}


def _drawn(data: bytes) -> None:
    if data:
        give(Given(data))
    else:
        take_away()


def _take(file: Any, source: str) -> None:
    """The file, once: a rerun must not bring back what was replaced by a test image meanwhile."""
    seen = f"tryit.seen_{source}"
    if file is None:
        return
    if not 0 < file.size <= LARGEST:
        st.error(say("tryit.wrong_size", size=size(file.size), most=size(LARGEST)))
    elif recall(seen, "") != file.file_id:
        remember(seen, file.file_id)
        give(Given(file.getvalue()))


# the test images at hand


def samples(model: Side) -> list[Tile]:
    """Eight of the test images kept beside the model's file, of as many classes as there are; the words of each are its
    class. None where they are gone or not as they were saved."""
    kept = kept_answers.kept(model.run, model.point)
    images = kept_answers.pictures(kept.folder) if kept is not None else []
    if kept is None or not images:
        return []
    labels = kept.labels[: len(images)]
    first = list(np.unique(labels, return_index=True)[1])
    order = [*sorted(first), *(place for place in range(len(images)) if place not in first)]
    return [Tile(str(n), as_png(images[n]), kept.classes[labels[n]]) for n in order[:AT_HAND]]


def _is_grey(model: Side) -> bool:
    """Whether the images of the dataset have no colour, as digits and clothes: only then is there something to draw."""
    kept = kept_answers.kept(model.run, model.point)
    images = kept_answers.pictures(kept.folder) if kept is not None else []
    return bool(images) and images[0].ndim == 2
