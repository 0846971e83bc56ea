"""A person's picture becomes the pixels that a bundle's predict.py makes of the file; the child alone opens it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assets import predict as script
from core.engine.data.imports.decoder_pool import Decoder, Unreadable
from core.engine.data.imports.picture import Opened
from tests.core.engine.data.imports.test_cut import KINDS, file_of, scene
from tests.core.engine.data.imports.test_images import encoded, raw_preview

GREY = {"size": 28, "channels": 1, "mean": [0.29], "std": [0.35]}
COLOUR = {"size": 56, "channels": 3, "mean": [0.48, 0.45, 0.4], "std": [0.22, 0.22, 0.22], "crop": 0.875}


def cut(size: int, channels: int, *, stored: bool, shape: str = "crop", white: int = 16383) -> dict[str, Any]:
    return {"size": size, "channels": channels, "shape": shape, "white": white, "stored": stored}


WAYS: dict[str, dict[str, Any]] = {
    "small squares": GREY,
    "small squares, colour": COLOUR,
    "published photos": {**COLOUR, "input": cut(64, 3, stored=False, white=65535)},
    "own photos": {**COLOUR, "input": cut(64, 3, stored=True)},
    "own photos, grey and padded": {**GREY, "input": cut(48, 1, stored=True, shape="pad")},
}


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    child = Decoder()
    yield child
    child.close()


@pytest.mark.thorough
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_the_script_of_a_bundle_makes_of_the_file(
    way: str, kind: str, decoder: Decoder, tmp_path: Path
) -> None:
    """Bit for bit, turned by EXIF, at a side that a JPEG is decoded at a quarter for, and at one it is not."""
    for turn, (width, height) in enumerate([(1300, 1211), (77, 120)], start=5):
        data = file_of(kind, scene(width, height, turn), turn)
        file = tmp_path / f"{turn}.x"
        file.write_bytes(data)
        found = Opened(data, decoder).prepared(WAYS[way])
        assert not isinstance(found, Unreadable), found
        np.testing.assert_array_equal(found, script.prepare(str(file), WAYS[way]))


@pytest.mark.parametrize("way", ["small squares", "own photos"])
def test_what_is_no_picture_says_why(way: str, decoder: Decoder) -> None:
    def reason(data: bytes) -> str:
        found = Opened(data, decoder).prepared(WAYS[way])
        assert isinstance(found, Unreadable)
        return found.reason

    whole = encoded(Image.fromarray(scene(300, 200, 1)), "JPEG")
    assert reason(b"<svg onload=alert(1)>") == "damaged: its header cannot be read"
    assert reason(b"") == "damaged: its header cannot be read"
    assert reason(whole[: len(whole) // 2]) == "damaged or cut off"
    assert reason(encoded(Image.new("L", (10_001, 5_000)), "PNG")).endswith("50 megapixels; at most 50 are read")
    assert reason(encoded(Image.new("F", (9, 9)), "TIFF")).startswith("32-bit float pixels")


def test_several_networks_decode_it_once_for_each_cut(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    real = Opened._cut

    def counted(self: Opened, given: dict[str, Any]) -> Any:
        seen.append(given)
        return real(self, given)

    monkeypatch.setattr(Opened, "_cut", counted)
    opened = Opened(encoded(Image.fromarray(scene(40, 30, 0)), "PNG"), decoder)
    for way in WAYS.values():
        assert isinstance(opened.prepared(way), np.ndarray)
        assert isinstance(opened.prepared(way), np.ndarray)
    assert len(seen) == len({repr(way.get("input")) for way in WAYS.values()}) == 4


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_several_frames_it_is_the_first(kind: str, decoder: Decoder, tmp_path: Path) -> None:
    first, second = (Image.fromarray(scene(90, 70, seed)) for seed in (1, 2))
    out = io.BytesIO()
    first.save(out, kind, save_all=True, append_images=[second])
    (tmp_path / "several.x").write_bytes(out.getvalue())
    found = Opened(out.getvalue(), decoder).prepared(WAYS["own photos"])
    alone = Opened(encoded(first, kind), decoder).prepared(WAYS["own photos"])
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, script.prepare(str(tmp_path / "several.x"), WAYS["own photos"]))
    assert isinstance(alone, np.ndarray)
    assert np.abs(found - alone).mean() < 0.2, "up to what another encoder makes of it"


ODD: dict[str, Callable[[], bytes]] = {
    "floats": lambda: encoded(Image.fromarray(np.random.default_rng(0).random((20, 20), dtype=np.float32)), "TIFF"),
    "32 bits": lambda: encoded(Image.fromarray(np.arange(400, dtype=np.int32).reshape(20, 20)), "TIFF"),
    "a preview": lambda: raw_preview({271: "NIKON", 254: 1}),
    "a DNG": lambda: raw_preview({50706: (1, 4, 0, 0)}),
    "a preview that is a mask too": lambda: raw_preview({254: 5}),
    "50 megapixels and more": lambda: encoded(Image.new("L", (10_001, 5_000)), "PNG"),
}


@pytest.mark.parametrize("row", ODD)
def test_what_an_import_skips_predict_refuses_too(decoder: Decoder, row: str, tmp_path: Path) -> None:
    """It would otherwise answer with the probabilities of a white picture, or of a thumbnail."""
    data = ODD[row]()
    assert isinstance(decoder.decode(data, 0), Unreadable)
    (tmp_path / "odd.tif").write_bytes(data)
    with pytest.raises(ValueError, match=r"are read|can be read"):
        script.prepare(str(tmp_path / "odd.tif"), COLOUR)
