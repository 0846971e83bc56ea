"""A pad to draw on with mouse, pen or finger, white on black, as digits and clothes are in the datasets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.i18n import say
from dashboard.session import widget

HERE = Path(__file__).parent
HTML = (
    '<div class="draw-pad"><canvas width="280" height="280" tabindex="0" role="img"></canvas>'
    '<div class="draw-pad-buttons"><button type="button" class="draw-pad-undo"></button>'
    '<button type="button" class="draw-pad-clear"></button></div></div>'
)
SIGN = "data:image/png;base64,"
LONGEST = 2**20  # characters of a drawing; 280 × 280 pixels are far fewer


def draw_pad(*, key: str, on_drawn: Callable[[bytes], None]) -> None:
    """Draws the pad. `on_drawn` is called, before the script runs again, with the drawing as PNG after each stroke, and
    with nothing once the pad is empty; the PNG comes from the browser and is to be judged like any file."""

    def drawn() -> None:
        found = getattr(widget(key, None), "drawn", None)
        if isinstance(found, str):
            on_drawn(decoded(found))

    words = {name: say(f"tryit.pad_{name}") for name in ("label", "undo", "clear")}
    _component()(key=key, data=words, on_drawn_change=drawn)


def decoded(drawing: str) -> bytes:
    """The PNG of a data URL; empty where it is none."""
    if not drawing.startswith(SIGN) or len(drawing) > LONGEST:
        return b""
    try:
        return base64.b64decode(drawing.removeprefix(SIGN), validate=True)
    except binascii.Error:
        return b""


def _component() -> Any:
    return st.components.v2.component("draw_pad", html=HTML, css=_read("css"), js=_read("js"), isolate_styles=False)


@cache
def _read(kind: str) -> str:
    return (HERE / f"draw_pad.{kind}").read_text(encoding="utf-8")
