"""Small pictures in a row, each a button: the one that is clicked is the one meant."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard.session import widget

HERE = Path(__file__).parent
HTML = '<div class="picture-row" role="group"></div>'


@dataclass(frozen=True)
class Tile:
    """A picture: what names it when it is picked, its PNG in base64, and what it shows in words."""

    ident: str
    png: str
    words: str


def picture_row(
    tiles: Sequence[Tile],
    *,
    key: str,
    label: str,
    chosen: str = "",
    on_pick: Callable[[str], None] | None = None,
    told: bool = False,
) -> None:
    """Draws the tiles, the `chosen` one marked; `told`: with their words below them. `on_pick` is called, before the
    script runs again, with the name of the tile that was clicked; without it the pictures are no buttons."""

    def picked() -> None:
        found = getattr(widget(key, None), "picked", None)
        if on_pick is not None and found in {tile.ident for tile in tiles}:
            on_pick(str(found))

    drawn = [asdict(tile) for tile in tiles]
    data = {"tiles": drawn, "label": label, "chosen": chosen, "told": told, "still": on_pick is None}
    _component()(key=key, data=data, on_picked_change=picked)


def as_png(pixels: NDArray[np.uint8]) -> str:
    """Levels [H, W] or [H, W, 3] as PNG, in base64."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _component() -> Any:
    return st.components.v2.component("picture_row", html=HTML, css=_read("css"), js=_read("js"), isolate_styles=False)


@cache
def _read(kind: str) -> str:
    return (HERE / f"picture_row.{kind}").read_text(encoding="utf-8")
