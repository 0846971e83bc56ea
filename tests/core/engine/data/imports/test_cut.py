"""A bundle's predict.py sees the pixels that training saw: of every kind of file, in every shape, at every size."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assets import predict as script
from core.engine.data import Dataset, import_images, load_dataset
from core.engine.data import photos as loading
from core.engine.data.imports import decoder_child as child
from core.engine.data.imports.imported import home_of
from core.errors import UserError
from tests.core.engine.data.imports.deep_files import png16
from tests.core.engine.data.imports.test_images import Files, encoded, unpacked

SHARED = (
    "own_white",
    "orientation",
    "turned",
    "deep_pixels",
    "other_bytes",
    "eight_bits",
    "shrunk",
    "without_colour",
    "encode",
)
VALUES = ("FORMATS", "SHORTER_SIDE", "LOSSLESS_UP_TO", "WHITE", "LOW_BYTES", "BITS_PER_SAMPLE", "TURNS", "BROKEN")
SIZES = ((640, 480), (160, 213), (301, 300), (77, 500), (1100, 530), (31, 31), (3, 90), (200, 133), (513, 512))
KINDS = ("JPEG", "PNG", "WEBP", "palette", "grey JPEG", "CMYK", "16 bits", "16 bits of colour", "TIFF", "GIF")


def scene(width: int, height: int, seed: int) -> np.ndarray:
    """uint8 [H, W, 3]: edges, slopes and fine noise, in which a third of a pixel shows."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = [128 + 90 * np.sin(columns / (5 + n) + seed) * np.cos(rows / (7 - n)) for n in range(3)]
    noise = np.random.default_rng(seed).integers(-30, 31, (height, width, 3))
    board = 60 * ((columns // 9 + rows // 11) % 2)[:, :, None]
    drawn: np.ndarray = (np.stack(waves, 2) + noise + board).clip(0, 255).astype(np.uint8)
    return drawn


def file_of(kind: str, pixels: np.ndarray, turn: int) -> bytes:
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = turn
    match kind:
        case "JPEG" | "WEBP":
            return encoded(image, kind, quality=92, exif=exif)
        case "grey JPEG":
            return encoded(image.convert("L"), "JPEG", exif=exif)
        case "palette":
            return encoded(image.quantize(60), "PNG", exif=exif, transparency=3)
        case "CMYK":
            return encoded(image.convert("CMYK"), "JPEG", exif=exif)
        case "16 bits":
            return png16(pixels[:, :, 0].astype(np.uint16) * 64)
        case "16 bits of colour":
            return png16(pixels.astype(np.uint16) * 64 + 3)
        case "GIF":
            return encoded(image, "GIF")
    return encoded(image, kind, exif=exif)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of pictures: each kind of file at two sizes, with a turn each."""
    return unpacked(tmp_path_factory.mktemp("given") / "set", pictures(2))


def pictures(each: int) -> Files:
    draw, files = random.Random(0), Files()
    for number, kind in enumerate(KINDS):
        for again in range(each):
            width, height = SIZES[(each * number + again) % len(SIZES)]
            data = file_of(kind, scene(width, height, each * number + again), draw.randint(1, 8))
            files[f"{'ab'[again % 2]}/{number}-{again}.x"] = data
    return files


def by_name(data: Dataset, home: Path) -> dict[str, np.ndarray]:
    """The images of a dataset by the name each came with."""
    card = json.loads((home / "dataset.json").read_text())
    found: dict[str, np.ndarray] = {}
    for split in ("train", "validation", "test"):
        names = [image["name"] for image in card["images"] if image["split"] == split]
        found |= dict(zip(names, getattr(data, split).images.numpy(), strict=True))
    return found


def input_of(data: Dataset) -> dict[str, Any]:
    """preprocessing.json of a network that takes the dataset's images as they are, from 0 to 1."""
    assert data.cut is not None
    cut = {"shape": data.cut.shape, "white": data.cut.white, "stored": data.cut.stored}
    return {
        "size": data.size,
        "channels": data.channels,
        "mean": [0.0] * data.channels,
        "std": [1.0] * data.channels,
        "input": {"size": data.size, "channels": data.channels, **cut},
    }


@pytest.mark.thorough
@pytest.mark.parametrize(("shape", "sizes"), [("crop", (33, 224)), ("pad", (64,)), ("stretch", (64,))])
def test_training_and_the_script_see_the_same_pixels(
    shape: str, sizes: tuple[int, ...], given: Path, tmp_path: Path
) -> None:
    """Equal to the last level, for every kind, aspect ratio and turn."""
    seen_alike(given, shape, sizes, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["crop", "pad", "stretch"])
def test_they_see_the_same_at_many_sizes(shape: str, tmp_path: Path) -> None:
    """Every kind at nine sizes; image sizes from 16 to above the 512 pixels that are stored."""
    seen_alike(unpacked(tmp_path / "given", pictures(len(SIZES))), shape, (16, 48, 127, 256, 600), tmp_path)


def seen_alike(given: Path, shape: str, sizes: tuple[int, ...], tmp_path: Path) -> None:
    import_images(given, "mine", tmp_path, shape=shape)
    for size in sizes:
        data = load_dataset("mine", size, folder=tmp_path)
        assert data.cut is not None
        assert (data.size, data.cut.shape, data.cut.white) == (size, shape, 16383)
        seen = by_name(data, home_of("mine", tmp_path))
        assert len(seen) >= 2 * len(KINDS)
        for name, expected in seen.items():
            prepared = script.prepare(str(given / name), input_of(data))[0]
            assert np.array_equal(np.round(prepared * 255), expected), (name, size)


def test_a_set_of_grey_pictures_and_one_of_equal_squares(tmp_path: Path) -> None:
    """A colour picture is looked at in grey where training was; small squares keep their own size."""
    for name, side, mode in (("grey", 0, "L"), ("squares", 20, "RGB")):
        files = {
            f"{c}/{n}.png": encoded(Image.fromarray(scene(side or 30 + n, side or 40, n + first)).convert(mode))
            for c, first in (("a", 0), ("b", 9))
            for n in range(4)
        }
        import_images(unpacked(tmp_path / name, files), name, tmp_path / "sets")
        data = load_dataset(name, 64, folder=tmp_path / "sets")
        assert (data.size, data.channels) == (side or 64, 1 if mode == "L" else 3)
        for path, expected in by_name(data, home_of(name, tmp_path / "sets")).items():
            prepared = script.prepare(str(tmp_path / name / path), input_of(data))[0]
            assert np.array_equal(np.round(prepared * 255), expected)
        colour = tmp_path / "colour.png"
        Image.fromarray(scene(100, 70, 5)).save(colour)
        assert script.prepare(str(colour), input_of(data)).shape == (1, data.channels, data.size, data.size)


def test_the_lines_they_share_are_the_same() -> None:
    for name in SHARED:
        assert inspect.getsource(getattr(script, name)) == inspect.getsource(getattr(child, name)), name
    assert inspect.getsource(script.square) == inspect.getsource(loading.square)
    for name in VALUES:
        assert getattr(script, name) == getattr(child, name), name
    assert script.PADDING == loading.PADDING


@pytest.mark.parametrize(("width", "height"), [(40, 30), (30, 40), (41, 30), (64, 9), (9, 64), (30, 30)])
def test_without_an_input_the_middle_is_cut_without_rounding_it_to_a_pixel(width: int, height: int) -> None:
    """A slope stays where it is: what is left and right of the middle is equally far from it."""
    slope = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
    found = script.fit(Image.fromarray(np.ascontiguousarray(slope)), 10)
    assert found.mean() == pytest.approx((width - 1) / 2, abs=1e-3)
    assert np.diff(found[0]).mean() == pytest.approx(min(width, height) / 10, rel=0.1)


def wide(tmp_path: Path, narrow: int, of: int = 10) -> Path:
    """A set of `of` pictures, all but `narrow` of which are square."""
    files = {
        f"{'ab'[n % 2]}/{n}.png": encoded(Image.fromarray(scene(60 if n < narrow else 24, 24, n))) for n in range(of)
    }
    return unpacked(tmp_path / "given", files)


def test_what_a_crop_takes_is_told_with_another_way(tmp_path: Path) -> None:
    got = import_images(wide(tmp_path, 7), "mine", tmp_path / "sets")
    (told,) = [warning for warning in got.warnings if "lose more than a quarter" in warning]
    assert told.startswith("70% of the pictures")
    assert "42% of a picture on average" in told  # 7 of 10 lose 1 − 24/60
    assert "--shape pad" in told
    assert "--shape stretch" in told


def test_a_few_wide_pictures_are_no_news(tmp_path: Path) -> None:
    got = import_images(wide(tmp_path, 1), "mine", tmp_path / "sets")
    assert not any("quarter" in warning for warning in got.warnings)


def test_pad_and_stretch_keep_the_ends(tmp_path: Path) -> None:
    """A wide photo, white at its ends: a crop is black, a padded one has grey bars, a stretched one white sides."""
    pixels = np.zeros((60, 180), np.uint8)
    pixels[:, :60] = pixels[:, 120:] = 255
    files = {
        f"{c}/{i}.png": encoded(Image.fromarray(pixels - np.uint8(pixels > 0) * (i + 9 * (c == "b"))))
        for c in "ab"
        for i in range(4)
    }
    given = unpacked(tmp_path / "given", files)
    looks: dict[str, Callable[[np.ndarray], bool]] = {
        "crop": lambda image: bool(image.max() < 140),
        "pad": lambda image: bool((image[:9] == 128).all() and (image[-9:] == 128).all() and image[15, 1] > 220),
        "stretch": lambda image: bool(image[:, :8].min() > 220 and image[:, 12:18].max() < 40),
    }
    hashes = set()
    for shape, looks_right in looks.items():
        got = import_images(given, shape, tmp_path / "sets", shape=shape)
        data = load_dataset(shape, 30, folder=tmp_path / "sets")
        assert got.shape == shape
        assert all(looks_right(image[0].numpy()) for image in data.train.images), shape
        hashes.add(data.content_hash)
    assert len(hashes) == 3


def test_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="crop, pad, stretch") as caught:
        import_images(wide(tmp_path, 1), "mine", tmp_path / "sets", shape="squash")
    assert caught.value.field == "shape"


def test_a_bundle_carries_how_pictures_are_cut(tmp_path: Path) -> None:
    from core.run_files.bundle import described

    card = {"classes": ["a"], "preprocessing": {"size": 8, "channels": 3}}
    plain: Mapping[str, bytes] = described(card)
    assert json.loads(plain["preprocessing.json"]) == card["preprocessing"]
    cut = {"size": 8, "channels": 3, "shape": "pad", "white": 4095, "stored": True}
    assert json.loads(described({**card, "input": cut})["preprocessing.json"])["input"] == cut
