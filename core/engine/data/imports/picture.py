"""A person's picture as a network gets it: opened in the confined decoder, then as a bundle's predict.py does it."""

from __future__ import annotations

import io
import runpy
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.assets import PREDICT, shipped
from core.engine.data.imports.decoder_pool import WHOLE, Decoded, Decoder, Unreadable
from core.engine.data.imports.depth import WHITE
from core.engine.data.photos import FORMATS

Pixels = Mapping[str, Any]  # preprocessing.json of a bundle
Prepared = NDArray[np.float32]  # [1, channels, S, S]


class Opened:
    """One picture for networks that may want it cut differently: decoded once for each way."""

    def __init__(self, data: bytes, decoder: Decoder) -> None:
        self._data, self._decoder = data, decoder
        self._known: dict[str, Image.Image | Unreadable] = {}

    def prepared(self, pixels: Pixels) -> Prepared | Unreadable:
        """The picture as `pixels` say, equal to what the `prepare` of predict.py makes of the file."""
        given: Pixels = pixels.get("input") or {}
        key = repr(sorted(given.items()))
        if key not in self._known:
            self._known[key] = self._cut(given)
        image = self._known[key]
        return image if isinstance(image, Unreadable) else _script()["normalise"](image.split(), pixels)

    def _cut(self, given: Pixels) -> Image.Image | Unreadable:
        """Upright with 8 bits and, where the images were cut, cut as they were."""
        image = self._stored(given) if given.get("stored") else self._upright(given)
        if isinstance(image, Unreadable) or not given:
            return image
        square: Image.Image = _script()["square"](image.convert(_mode(given)), given["size"], given["shape"])
        return square

    def _stored(self, given: Pixels) -> Image.Image | Unreadable:
        """As an import would have stored it, and training read it again."""
        found = self._decoder.decode(self._data, given["white"])
        if not isinstance(found, Decoded):
            return found if isinstance(found, Unreadable) else Unreadable("its depth cannot be read")
        image = Image.open(io.BytesIO(found.data), formats=FORMATS)
        image.draft(_mode(given), (2 * given["size"], 2 * given["size"]))
        return image

    def _upright(self, given: Pixels) -> Image.Image | Unreadable:
        side = 2 * given["size"] if given else WHOLE
        found = self._decoder.view(self._data, side, given.get("white", WHITE))
        if isinstance(found, Unreadable):
            return found
        return Image.frombytes(found.mode, (found.width, found.height), found.data)


def _mode(given: Pixels) -> str:
    return "L" if given["channels"] == 1 else "RGB"


@cache
def _script() -> Mapping[str, Callable[..., Any]]:
    """The functions of predict.py, which every bundle has as it is."""
    return runpy.run_path(str(shipped(PREDICT)))
