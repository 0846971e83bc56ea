"""Images of 16 bits that hold fewer: what their files state, else what the whole set holds, decides what is white."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assets import predict as script
from core.engine.data import Imported, import_images, load_dataset
from core.engine.data.imports.decoder_child import decode, peak_of
from core.engine.data.imports.depth import Deep, white_of
from core.engine.data.imports.imported import home_of
from tests.core.engine.data.imports.deep_files import Tag, png16, tiff
from tests.core.engine.data.imports.test_cut import by_name, input_of
from tests.core.engine.data.imports.test_images import Files, encoded, picture, unpacked

SIDE = 20


def samples(bits: int, seed: int, colours: int = 0) -> np.ndarray:
    """uint16 of so many bits, its largest value once in it."""
    shape = (SIDE, SIDE, colours) if colours else (SIDE, SIDE)
    found = np.random.default_rng(seed).integers(0, 2**bits - 200, shape).astype(np.uint16)
    found.flat[0] = 2**bits - 1 - seed
    return found


def imported(tmp_path: Path, files: Files) -> Imported:
    return import_images(unpacked(tmp_path / "given", files), "mine", tmp_path / "sets")


def stored(tmp_path: Path) -> dict[str, np.ndarray]:
    return by_name(load_dataset("mine", SIDE, folder=tmp_path / "sets"), home_of("mine", tmp_path / "sets"))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("colours", [0, 3])
def test_the_set_decides_where_the_files_state_nothing(bits: int, colours: int, tmp_path: Path) -> None:
    """All grey levels that fit into 8 bits are kept, and one factor holds for dark and bright pictures."""
    given = {f"{c}/{n}.png": samples(bits, n + 5 * (c == "b"), colours) for c in "ab" for n in range(4)}
    given["a/dark.png"] = given["a/3.png"] // 9
    got = imported(tmp_path, {name: png16(values) for name, values in given.items()})
    white = 2**bits - 1
    assert got.white == white
    assert any(f"use {bits} bits: scaled so that {white:,} is white" in warning for warning in got.warnings)
    for name, image in stored(tmp_path).items():
        exact = np.round(given[name] * (255 / white))
        assert np.array_equal(image.transpose(1, 2, 0).reshape(exact.shape), exact), name
    data = load_dataset("mine", SIDE, folder=tmp_path / "sets")
    prepared = script.prepare(str(tmp_path / "given" / "a" / "dark.png"), input_of(data))[0]
    assert np.array_equal(np.round(prepared * 255), stored(tmp_path)["a/dark.png"])


@pytest.mark.parametrize("every", [False, True], ids=["one image", "every image"])
@pytest.mark.parametrize("colours", [0, 3])
def test_a_hot_pixel_does_not_decide_the_depth(every: bool, colours: int, tmp_path: Path) -> None:
    """It becomes white, and the report says so; predict.py sees the same."""
    given = {f"{c}/{n}.png": samples(14, n + 5 * (c == "b"), colours) for c in "ab" for n in range(4)}
    hot = sorted(given) if every else ["b/2.png"]
    for name in hot:
        given[name][7, 3] = 65535
    got = imported(tmp_path, {name: png16(values) for name, values in given.items()})
    assert got.white == 16383
    (sentence,) = (warning for warning in got.warnings if "of 16 bits use 14" in warning)
    assert f"{len(hot)} of them have single pixels above it, up to 65,535, which become white" in sentence
    data = load_dataset("mine", SIDE, folder=tmp_path / "sets")
    prepared = script.prepare(str(tmp_path / "given" / "b" / "2.png"), input_of(data))[0]
    assert np.array_equal(np.round(prepared * 255), stored(tmp_path)["b/2.png"])
    assert (stored(tmp_path)["b/2.png"][:, 7, 3] == 255).all()


def test_two_bright_pixels_of_a_small_image_do_decide(tmp_path: Path) -> None:
    given = {f"{c}/{n}.png": samples(14, n + 5 * (c == "b")) for c in "ab" for n in range(4)}
    given["a/1.png"][7, 3:5] = 40_000
    assert imported(tmp_path, {name: png16(values) for name, values in given.items()}).white == 65535


@pytest.mark.parametrize(
    ("side", "bright", "peak"),
    [(1, 1, 9), (2, 1, 1), (2, 2, 9), (99, 1, 1), (99, 2, 9), (150, 2, 1), (150, 3, 9), (1000, 100, 1), (1000, 101, 9)],
)
def test_stray_pixels_are_one_in_ten_thousand(side: int, bright: int, peak: int) -> None:
    values = np.ones((side, side), np.uint16)
    values.flat[:bright] = 9
    assert peak_of(values) == peak
    assert peak_of(np.stack([values, np.ones_like(values)], 2)) == peak, "a pixel is bright if one of its channels is"


STATED: dict[str, list[Tag]] = {
    "MaxSampleValue": [(281, 3, [4095])],
    "SMaxSampleValue": [(341, 3, [4095])],
    "OME": [(270, 2, '<Pixels Type="uint16" SignificantBits="12"/>')],
    "words": [(270, 2, "Camera X; bit depth: 12; exposure 3 ms")],
    "a name": [(270, 2, "BitsPerSample=12")],
}


@pytest.mark.parametrize("row", STATED)
@pytest.mark.parametrize("order", ["<", pytest.param(">", marks=pytest.mark.slow)])
def test_what_a_tiff_states_is_used(row: str, order: str, tmp_path: Path) -> None:
    """Values below 1,024 alone would be taken for 10 bits."""
    files = {
        f"{c}/{n}.tif": tiff(samples(10, n + 5 * (c == "b")), order, tags=STATED[row]) for c in "ab" for n in range(4)
    }
    assert imported(tmp_path, files).white == 4095


def test_a_display_range_is_no_depth(tmp_path: Path) -> None:
    tags: list[Tag] = [(270, 2, "ImageJ=1.53t\nmin=0.0\nmax=300.0\n")]
    files = {f"{c}/{n}.tif": tiff(samples(14, n + 5 * (c == "b")), tags=tags) for c in "ab" for n in range(4)}
    assert imported(tmp_path, files).white == 16383


def test_what_a_png_states_is_used_where_it_is_true(tmp_path: Path) -> None:
    files = {f"{c}/{n}.png": png16(samples(10, n + 5 * (c == "b")), 12) for c in "ab" for n in range(4)}
    assert imported(tmp_path, files).white == 4095
    (tmp_path / "given" / "a" / "scaled.png").write_bytes(png16(samples(16, 1), 12))  # as the PNG standard wants it
    assert import_images(tmp_path / "given", "again", tmp_path / "sets").white == 65535


def test_twelve_packed_bits_say_for_themselves_what_is_white(tmp_path: Path) -> None:
    """Beside pictures of 16 bits each keeps its own range, here and in predict.py."""
    given = {f"{c}/{n}.tif": samples(12, n + 5 * (c == "b")) for c in "ab" for n in range(4)}
    files = {name: tiff(values, bits=12) for name, values in given.items()}
    files["a/deep.tif"] = tiff(samples(16, 3), deflate=True)
    assert imported(tmp_path, files).white == 65535
    data = load_dataset("mine", SIDE, folder=tmp_path / "sets")
    for name, values in given.items():
        expected = np.round(values * (255 / 4095))
        assert np.array_equal(stored(tmp_path)[name][0], expected)
        prepared = script.prepare(str(tmp_path / "given" / name), input_of(data))[0]
        assert np.array_equal(np.round(prepared[0] * 255), expected)


def test_a_set_without_deep_images_takes_all_sixteen_bits_as_given(tmp_path: Path) -> None:
    files = {f"{c}/{n}.png": encoded(picture(n + 5 * (c == "b"))) for c in "ab" for n in range(4)}
    assert imported(tmp_path, files).white == 65535


def test_colour_with_transparency_lies_on_white() -> None:
    values = samples(12, 0, 4)
    values[:, :, 3] = 65535  # opaque, whatever the colours' depth
    values[3, 3, 3] = 0
    facts, _ = decode(png16(values), 0)
    assert facts["highest"] == 4095
    assert facts["peak"] <= 4095
    _, clean = decode(png16(values), 4095)
    import io

    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(clean)))
    assert image[3, 3].tolist() == [255, 255, 255]
    assert np.array_equal(image[5], np.round(values[5, :, :3] * (255 / 4095)))


def test_deep_grey_with_transparency_is_skipped_with_its_reason(tmp_path: Path) -> None:
    files = {f"{c}/{n}.png": encoded(picture(n + 5 * (c == "b"))) for c in "ab" for n in range(4)}
    got = imported(tmp_path, {**files, "a/x.png": png16(samples(12, 0, 2))})
    assert got.skipped == [{"file": "a/x.png", "reason": "16-bit grey with transparency; save it without transparency"}]


@pytest.mark.parametrize(
    ("found", "white"),
    [
        ([], 65535),
        ([(0, 0)], 255),
        ([(255, 0)], 255),
        ([(256, 0)], 511),
        ([(16383, 0), (3, 0)], 16383),
        ([(16384, 0)], 32767),
        ([(1000, 4095)], 4095),
        ([(5000, 4095)], 8191),
        ([(1000, 4095), (1000, 0)], 4095),
        ([(40, 65535)], 65535),
    ],
)
def test_one_white_for_all(found: list[tuple[int, int]], white: int) -> None:
    assert white_of([Deep(*each) for each in found]) == white
