"""A person's own images: what is refused, skipped, or taken with a word, row by row of the project's tables."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from assets import predict
from core.engine.confined_child import end_child, start_child
from core.engine.data import Imported, datasets, import_images, load_dataset
from core.engine.data.imports import decoder_child
from core.engine.data.imports.class_folders import Wishes
from core.engine.data.imports.decoder_pool import CHILD, Decoded, Decoder, Unreadable, decode_all
from core.engine.data.imports.depth import Deep
from core.engine.data.imports.imported import home_of
from core.errors import UserError

Files = dict[str, bytes]


def picture(seed: int, size: tuple[int, int] = (12, 12), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pngs(folder: str, count: int, first: int = 0) -> Files:
    return {f"{folder}/{i}.png": encoded(picture(first + i)) for i in range(count)}


TWO = {**pngs("cats", 4), **pngs("dogs", 4, 100)}


def zipped(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def unpacked(path: Path, files: Files) -> Path:
    for name, data in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def imported(tmp_path: Path, files: Files, merge: bool = False) -> Imported:
    wishes = Wishes(merge=merge)
    return import_images(zipped(tmp_path / "given.zip", files), "mine", tmp_path / "datasets", wishes=wishes)


@pytest.mark.parametrize("pack", [zipped, unpacked])
def test_folder_and_zip_give_the_same_data_set(pack: Callable[[Path, Files], Path], tmp_path: Path) -> None:
    folder = tmp_path / "datasets"
    files = {**pngs("cats", 20), **pngs("dogs", 20, 100), "__MACOSX/cats/._0.png": b"x", "cats/.DS_Store": b"x"}
    steps: list[tuple[str, int, int | None]] = []
    got = import_images(pack(tmp_path / "given", files), "My pets", folder, progress=lambda *step: steps.append(step))
    told = got.to_json()
    assert {"dataset": "My pets", "classes": 2, "images": 40, "skipped": [], "warnings": []}.items() <= told.items()
    assert told["ignored"] == {"__MACOSX": 1, ".DS_Store": 1}
    assert steps[-1] == ("decoding", 40, 40)
    data = load_dataset("My pets", 32, folder=folder)
    assert (data.classes, data.size, data.channels) == (("cats", "dogs"), 12, 3)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [28, 6, 6]
    assert [part.labels.bincount().tolist() for part in (data.train, data.validation, data.test)] == [
        [14, 14],
        [3, 3],
        [3, 3],
    ]
    originals = {np.asarray(picture(i)).transpose(2, 0, 1).tobytes(): 0 for i in range(20)}
    originals |= {np.asarray(picture(100 + i)).transpose(2, 0, 1).tobytes(): 1 for i in range(20)}
    for part in (data.train, data.validation, data.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert originals.pop(image.numpy().tobytes()) == label
    assert not originals
    assert data.content_hash == load_dataset("My pets", 32, folder=folder).content_hash
    assert datasets(folder)["My pets"].images == 40


def test_no_name_of_a_person_becomes_a_path(tmp_path: Path) -> None:
    names = ["null", "NaN", "1e5", "True", "__proto__", "CON", "![](http:", "<img onerror>", "=1+1", "🐱"]
    files = {key: data for i, name in enumerate(names) for key, data in pngs(name, 3, 10 * i).items()}
    got = imported(tmp_path, files)
    data = load_dataset("mine", 16, folder=tmp_path / "datasets")
    assert data.classes == tuple(sorted(names))
    assert got.classes == len(names)
    stored = [path.name for path in (tmp_path / "datasets").rglob("*") if path.suffix in (".png", ".jpg")]
    assert stored
    assert all(len(name) == 68 and int(name[:64], 16) for name in stored)


SHAPES: dict[str, tuple[Files, str]] = {
    "no images": ({"cats/a.txt": b"hello", "dogs/b.txt": b"hello"}, "no_images"),
    "no readable images": ({"cats/a.png": TWO["cats/0.png"][:60], "dogs/b.png": b"\x89PNG\r\n\x1a\n"}, "no_images"),
    "one class": (pngs("cats", 5), "one_class"),
    "one class is left": ({**pngs("cats", 5), "dogs/a.png": TWO["cats/0.png"][:60]}, "one_class"),
    "one image a class": ({**pngs("cats", 1), **pngs("dogs", 1, 9)}, "too_few_images"),
    "two images a class": ({**pngs("cats", 2), **pngs("dogs", 2, 9)}, "too_few_images"),
    "one image many times": ({f"{c}/{i}.png": TWO["cats/0.png"] for c in "ab" for i in range(9)}, "too_few_images"),
    "blank class": ({**TWO, **pngs("  ", 3, 50)}, "blank_class"),
    "invisible class": ({**TWO, **pngs("\u200b", 3, 50)}, "blank_class"),
    "empty class": ({**{f"wrap/{n}": d for n, d in TWO.items()}, "wrap//1.png": TWO["cats/0.png"]}, "blank_class"),
    "root images": ({**TWO, "a.png": TWO["cats/0.png"]}, "image_without_class"),
    "only root images": ({"a.png": TWO["cats/0.png"], "b.png": TWO["dogs/0.png"]}, "image_without_class"),
    "case": ({**TWO, **pngs("Cats", 3, 50)}, "classes_alike"),
    "Unicode form": ({**pngs("caf\u00e9", 3), **pngs("cafe\u0301", 3, 50), **pngs("x", 3, 80)}, "classes_alike"),
    "full width": ({**TWO, **pngs("ｃａｔｓ", 3, 50)}, "classes_alike"),
    "class in test only": (
        {**pngs("train/a", 5), **pngs("train/b", 5, 9), **pngs("test/c", 5, 30)},
        "class_not_in_train",
    ),
}


@pytest.mark.parametrize("row", SHAPES)
def test_shapes_that_are_refused_leave_nothing(row: str, tmp_path: Path) -> None:
    files, code = SHAPES[row]
    with pytest.raises(UserError) as caught:
        imported(tmp_path, files)
    assert (caught.value.code, caught.value.field) == (code, "path")
    assert caught.value.fix
    assert not list((tmp_path / "datasets").glob("*"))
    assert not list((tmp_path / "datasets").glob(".*"))


def test_photos_in_a_format_that_is_not_read_are_called_so(tmp_path: Path) -> None:
    """They have their folders; what is to be done is to save them otherwise."""
    heic = {f"{name}/{n}.HEIC": b"\0\0\0\x18ftypheic" + bytes([n] * 20) for name in ("cats", "dogs") for n in range(4)}
    with pytest.raises(UserError, match="Save them as JPEG or PNG first") as caught:
        imported(tmp_path, heic)
    assert caught.value.code == "no_images"


def test_without_training_images_the_way_on_is_offered(tmp_path: Path) -> None:
    files = {
        f"{split}/{name}": data
        for split, first in (("val", 0), ("test", 300))
        for name, data in {**pngs("cats", 4, first), **pngs("dogs", 4, first + 100)}.items()
    }
    with pytest.raises(UserError) as caught:
        imported(tmp_path, files)
    assert caught.value.code == "no_training_images"
    assert [dict(choice.request) for choice in caught.value.choices] == [{"splits": False}]
    again = import_images(unpacked(tmp_path / "again", files), "pets", tmp_path, wishes=Wishes("inner", splits=False))
    assert (again.classes, again.images) == (2, 16)


def test_alike_classes_can_be_merged(tmp_path: Path) -> None:
    got = imported(tmp_path, {**TWO, **pngs("Cats", 3, 50)}, merge=True)
    assert got.classes == 2
    assert any("merged into the class Cats: cats" in warning for warning in got.warnings)


def test_decomposed_names_are_kept_composed(tmp_path: Path) -> None:
    imported(tmp_path, {**TWO, **pngs("cafe\u0301", 3, 50)})
    assert load_dataset("mine", 16, folder=tmp_path / "datasets").classes == ("caf\u00e9", "cats", "dogs")


def test_refused_zip_leaves_nothing_even_when_found_late(tmp_path: Path) -> None:
    """The lie is in the last file, after seven images are already decoded and stored."""
    path = zipped(tmp_path / "given.zip", TWO)
    data = path.read_bytes()
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.rfind(signature) + offset
        size = struct.unpack("<I", data[at : at + 4])[0]
        data = data[:at] + struct.pack("<I", size + 1) + data[at + 4 :]
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        import_images(path, "mine", tmp_path / "datasets")
    assert caught.value.code == "lying_zip"
    assert not list((tmp_path / "datasets").glob(".*")) + list((tmp_path / "datasets").glob("*"))


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 81, "digits", "Fashion-Mini", "cifar10", "\u200b"])
def test_bad_and_taken_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        import_images(zipped(tmp_path / "given.zip", TWO), name, tmp_path / "datasets")
    assert caught.value.field == "name"


def test_a_second_import_does_not_replace_the_first(tmp_path: Path) -> None:
    imported(tmp_path, TWO)
    with pytest.raises(UserError, match="no other dataset has"):
        imported(tmp_path, TWO)


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is there"):
        import_images(tmp_path / "none", "mine", tmp_path)


def splits(tmp_path: Path) -> dict[str, tuple[str, str]]:
    """Stored (class, split) by the name the image came with."""
    card = json.loads((home_of("mine", tmp_path / "datasets") / "dataset.json").read_text())
    return {image["name"]: (card["classes"][image["label"]], image["split"]) for image in card["images"]}


def test_given_splits_are_kept_and_told(tmp_path: Path) -> None:
    files = {**pngs("set/train/a", 10), **pngs("set/train/b", 10, 20), **pngs("set/test/a", 3, 40)}
    files |= {**pngs("set/test/b", 3, 50), **pngs("set/valid/a", 2, 60), **pngs("set/valid/b", 2, 70)}
    got = imported(tmp_path, files)
    assert any("were taken as splits" in warning for warning in got.warnings)
    expected = {"train": "train", "test": "test", "valid": "validation"}
    for name, (label, split) in splits(tmp_path).items():
        assert (label, split) == (name.split("/")[2], expected[name.split("/")[1]])


def test_missing_validation_is_drawn_from_training(tmp_path: Path) -> None:
    files = {**pngs("train/a", 10), **pngs("train/b", 10, 20), **pngs("test/a", 3, 40), **pngs("test/b", 3, 50)}
    imported(tmp_path, {**files, "test/unlabelled.png": encoded(picture(99))})
    drawn = [name for name, (_, split) in splits(tmp_path).items() if split == "validation"]
    assert len(drawn) == 4
    assert all(name.startswith("train/") for name in drawn)
    assert all(split == "test" for name, (_, split) in splits(tmp_path).items() if name.startswith("test/"))


def test_mixed_layout_is_detected(tmp_path: Path) -> None:
    files = {**pngs("train/a", 5), **pngs("train/b", 5, 20), **pngs("test/a", 5, 40), **pngs("test/b", 5, 50)}
    got = imported(tmp_path, {**files, **pngs("a", 7, 60)})
    assert any("class folders next to them (a)" in warning for warning in got.warnings)
    assert {label for label, _ in splits(tmp_path).values()} == {"a", "b"}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    imported(tmp_path, {**pngs("train", 5), **pngs("car", 5, 20), **pngs("bus", 5, 40)})
    assert {label for label, _ in splits(tmp_path).values()} == {"train", "car", "bus"}


def test_duplicates_stay_together_and_are_listed(tmp_path: Path) -> None:
    files = {**pngs("train/a", 12), **pngs("train/b", 12, 20), **pngs("test/a", 3, 40), **pngs("test/b", 3, 50)}
    files["test/a/leak.png"] = files["train/a/0.png"]
    files["train/b/crossing.bmp"] = encoded(picture(1), "BMP")
    got = imported(tmp_path, files)
    told = " ".join(got.warnings)
    assert "two given splits" in told
    assert "train/a/0.png = test/a/leak.png" in told or "test/a/leak.png = train/a/0.png" in told
    assert "two classes" in told
    where = splits(tmp_path)
    assert where["test/a/leak.png"][1] == where["train/a/0.png"][1] != "test"
    assert where["train/a/1.png"][1] == where["train/b/crossing.bmp"][1]
    data = load_dataset("mine", 16, folder=tmp_path / "datasets")
    seen = [{image.numpy().tobytes() for image in part.images} for part in (data.train, data.validation, data.test)]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_imbalance_is_accepted_with_a_warning(tmp_path: Path) -> None:
    got = imported(tmp_path, {**pngs("rare", 1), **pngs("common", 60, 10)})
    assert got.images == 61
    assert any("rare has 1 images, common has 60" in warning for warning in got.warnings)
    assert splits(tmp_path)["rare/0.png"] == ("rare", "train")


def decode(data: bytes) -> Decoded | Deep | Unreadable:
    decoder = Decoder()
    try:
        return decoder.decode(data)
    finally:
        decoder.close()


def clean(data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    answer = decode(data)
    assert isinstance(answer, Decoded), answer
    return np.asarray(Image.open(io.BytesIO(answer.data))), answer.notes


def grey16() -> np.ndarray:
    return np.linspace(0, 65535, 20 * 30).astype(np.uint16).reshape(20, 30)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    pixels, notes = clean(encoded(Image.fromarray(grey16()), kind))
    assert np.array_equal(pixels, np.round(grey16() / 257).astype(np.uint8))
    assert notes == ("16 bits",)


def test_cmyk_keeps_its_colours() -> None:
    red = Image.new("CMYK", (200, 200), (0, 255, 255, 0))
    pixels, _ = clean(encoded(red, "TIFF"))
    assert pixels[100, 100].tolist() == [255, 0, 0]


def test_palette_with_alpha_lies_on_white() -> None:
    image = Image.new("P", (10, 10), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((3, 3), 1)
    pixels, notes = clean(encoded(image, "PNG", transparency=0))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[3, 3].tolist() == [0, 0, 255]
    assert notes == ("transparent",)


def test_half_transparent_is_mixed_with_white() -> None:
    pixels, _ = clean(encoded(Image.new("RGBA", (9, 9), (0, 0, 200, 128)), "PNG"))
    assert np.abs(pixels[0, 0].astype(int) - [127, 127, 227]).max() <= 1


def test_one_bit_and_grey_stay_grey() -> None:
    for mode in ("1", "L"):
        pixels, _ = clean(encoded(picture(0, mode=mode)))
        assert pixels.ndim == 2
        assert np.array_equal(pixels, np.asarray(picture(0, mode=mode).convert("L")))


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    pixels, notes = clean(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert notes == ("animated",)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_exif_rotation_is_applied(turn: int) -> None:
    """An upright picture stored turned, with the tag that says so, comes out upright."""
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :12] = 255
    back = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T}
    back |= {6: np.rot90(upright, 1), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1)}
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels, notes = clean(encoded(Image.fromarray(np.ascontiguousarray(back[turn])), "PNG", exif=exif))
    assert np.array_equal(pixels, upright)
    assert notes == (("rotated",) if turn > 1 else ())


def exif_data(*fields: tuple[int, int, int, bytes]) -> bytes:
    """EXIF data with these fields: tag, type, count, and up to four bytes."""
    rows = b"".join(struct.pack(">HHI4s", *field) for field in fields)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, len(fields)) + rows + bytes(4)


TURNED = (0x0112, 3, 1, struct.pack(">H", 6))
ODD_EXIF = {
    "a width that is text": (exif_data((0x0100, 2, 3, b"ab"), TURNED), 6),
    "an orientation that is text": (exif_data((0x0112, 2, 2, b"6")), 1),
    "two orientations": (exif_data((0x0112, 3, 2, struct.pack(">HH", 6, 6))), 6),
    "fields beyond the end": (exif_data(TURNED, (0x8769, 4, 1, struct.pack(">I", 10**8))), 6),
    "cut off": (exif_data(TURNED)[:-3], 6),
    "no header": (b"Exif\0\0XX\0*abcdefgh", 1),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", ODD_EXIF)
def test_odd_exif_data_are_no_damage(row: str) -> None:
    """As the child decodes it, and a bundle's predict.py: the pixels are whole, and upright as far as that is known."""
    data, turn = ODD_EXIF[row]
    whole = encoded(picture(0, (200, 160)), "JPEG", exif=data)
    facts, _ = decoder_child.decode(whole)
    sides = (160, 200) if turn == 6 else (200, 160)
    assert ((facts["width"], facts["height"]), facts["notes"]) == (sides, ["rotated"] if turn == 6 else [])
    assert predict.upright(whole, {})[0].size == sides


def test_large_photos_are_shrunk_and_stripped() -> None:
    exif = Image.Exif()
    exif[0x010E] = "my address"
    answer = decode(encoded(picture(0, (1600, 1200)), "JPEG", exif=exif))
    assert isinstance(answer, Decoded)
    assert (answer.width, answer.height, answer.file[-4:]) == (683, 512, ".jpg")
    assert b"my address" not in answer.data


def header_only_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "truncated": (encoded(picture(0, (100, 100)), "JPEG")[:-900], "damaged or cut off"),
    "truncated png": (TWO["cats/0.png"][:80], "damaged"),
    "header only": (b"\x89PNG\r\n\x1a\n", "damaged"),
    "over 50 megapixels": (header_only_png(10_000, 5_001), "megapixels; at most 50"),
    "bomb": (header_only_png(2**31 - 1, 2**31 - 1), "megapixels"),
    "float": (encoded(Image.fromarray(np.full((9, 9), 0.5, np.float32)), "TIFF"), "float"),
    "NaN": (encoded(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"), "float"),
    "32 bits": (encoded(Image.fromarray(np.full((9, 9), 2**20, np.int32)), "TIFF"), "32-bit"),
}


def test_unreadable_images_have_a_reason() -> None:
    decoder = Decoder()
    for row, (data, reason) in UNREADABLE.items():
        answer = decoder.decode(data)
        assert isinstance(answer, Unreadable), row
        assert reason in answer.reason, row
    assert isinstance(decoder.decode(TWO["cats/0.png"]), Decoded)  # the same child still works
    decoder.close()


@pytest.fixture
def own_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A decoder's program to be written by the test, with limits of fractions of a second."""
    child = tmp_path / "child.py"
    for name, value in {"CHILD": child, "SECONDS": 0.3, "STILL": 1.5, "GLANCE": 0.1}.items():
        monkeypatch.setattr(f"core.engine.data.imports.decoder_pool.{name}", value)
    return child


SERVE = f"import runpy, sys; runpy.run_path({str(CHILD)!r})['serve'](sys.stdin.buffer, sys.stdout.buffer)"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("while True: pass", "takes over 0.3 seconds of processor time to decode"),
        ("import time; time.sleep(60)", "stops the decoder: it did nothing for 1.5 seconds, twice"),
        ("import os; os.abort()", "breaks the decoder"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000_000])  # more than a pipe holds: even writing to the child has to end
def test_slow_still_and_crashing_decoders_are_replaced(own_child: Path, program: str, reason: str, size: int) -> None:
    own_child.write_text(program)
    assert decode(b"x" * size) == Unreadable(reason)


def test_time_that_a_decoder_waits_is_not_counted(own_child: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a busy machine, where an image takes many times its processor time."""
    monkeypatch.setattr("core.engine.data.imports.decoder_pool.SECONDS", 1.0)
    own_child.write_text(f"import time; time.sleep(1.2); {SERVE}")
    assert isinstance(decode(TWO["cats/0.png"]), Decoded)


@pytest.mark.thorough
def test_a_decoder_that_never_gets_a_core_is_waited_for(own_child: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for one all the while, and does not get it: that is no fault of the image."""
    monkeypatch.setattr("core.engine.data.imports.decoder_pool.SECONDS", 60.0)
    monkeypatch.setattr("core.engine.confined_child.Conversation._computed", lambda talk: 0.0)
    own_child.write_text(f"import time; end = time.time() + 2\nwhile time.time() < end: pass\n{SERVE}")
    assert isinstance(decode(TWO["cats/0.png"]), Decoded)


def test_a_decoder_that_something_else_killed_gets_a_second_try(own_child: Path, tmp_path: Path) -> None:
    once = f"import os, pathlib; before = pathlib.Path({str(tmp_path / 'before')!r})\n"
    own_child.write_text(f"{once}if not before.exists(): before.touch(); os.kill(os.getpid(), 9)\n{SERVE}")
    assert isinstance(decode(TWO["cats/0.png"]), Decoded)


def test_the_child_can_write_no_file(tmp_path: Path) -> None:
    code = (
        "import runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "runpy.run_path(sys.argv[1])['confine']()\nopen(sys.argv[2], 'wb', 0).write(b'x')"
    )
    command = [sys.executable, "-c", code, str(CHILD), str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert b"File too large" in done.stderr


def raw_preview(tags: dict[int, Any]) -> bytes:
    """A TIFF with these tags, as the first image of a camera's raw file is one."""
    held = ImageFileDirectory_v2()
    for number, value in tags.items():
        held[number] = value
    return encoded(picture(5), "TIFF", tiffinfo=held)


def test_a_folder_with_a_name_that_is_no_text_says_so(tmp_path: Path) -> None:
    given = unpacked(tmp_path / "given", {**pngs("cats", 4), **pngs("dogs", 4, 50), **pngs("birds", 4, 90)})
    os.rename(os.fsencode(given / "birds"), os.fsencode(given) + b"/caf\xe9")
    got = import_images(given, "mine", tmp_path / "datasets")
    assert {entry["reason"].partition(":")[0] for entry in got.skipped} == {"its name is not valid text"}


def test_parts_of_a_path_that_say_nothing_are_no_folders(tmp_path: Path) -> None:
    files = {f"./{name}": data for name, data in TWO.items()}
    got = imported(tmp_path, {"./": b"", **files})
    assert (got.classes, got.images, got.skipped, got.warnings) == (2, 8, [], [])


def test_files_that_are_no_pictures_are_skipped_with_their_kind(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.png", TWO["cats/0.png"])
    odd: dict[str, tuple[bytes, str]] = {
        "text.jpg": (b"I am text", "text"),
        "drawing.svg": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        "figure.eps": (b"%!PS-Adobe-3.0 EPSF-3.0", "EPS"),
        "paper.pdf": (b"%PDF-1.7", "PDF"),
        "phone.jpg": (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
        "burst.heif": (b"\0\0\0\x18ftyphevc" + bytes(20), "HEIC"),
        "canon.CR3": (b"\0\0\0\x18ftypcrx " + bytes(20), "camera raw"),
        "grey.pgm": (b"P5\n4 4\n255\n" + bytes(16), "Netpbm"),
        "scan.dcm": (bytes(128) + b"DICM" + bytes(40), "DICOM"),
        "large.tif": (b"II+\0" + bytes(60), "BigTIFF"),
        "clip.avi": (b"RIFF\0\0\0\0AVI LIST", "video"),
        "noise.dat": (bytes(range(256)), "not recognised as an image"),
        "raw.nef": (raw_preview({271: "NIKON", 254: 1}), "small preview"),
        "raw.dng": (raw_preview({50706: (1, 4, 0, 0)}), "small preview"),
        "nothing.png": (b"", "empty"),
        "inner.zip": (inner.getvalue(), "zip inside"),
        "cut.png": (TWO["cats/0.png"][:80], "damaged"),
        "bad\nname.png": (TWO["cats/0.png"], "control"),
    }
    got = imported(tmp_path, {**TWO, **{f"cats/{name}": data for name, (data, _) in odd.items()}})
    assert got.images == 8
    reasons = {entry["file"].removeprefix("cats/"): entry["reason"] for entry in got.skipped}
    assert len(reasons) == len(odd)
    for name, (_, reason) in odd.items():
        assert reason in reasons[name.replace("\n", "\\x0a")]


def test_remarks_name_the_files(tmp_path: Path) -> None:
    files = dict(TWO)
    files["cats/lies.jpg"] = encoded(picture(70))
    files["cats/dot.png"] = encoded(Image.new("RGB", (1, 1), "red"))
    files["dogs/deep.png"] = encoded(Image.fromarray(grey16()))
    told = imported(tmp_path, files).warnings
    assert any("another format" in warning and "cats/lies.jpg" in warning for warning in told)
    assert any("smaller than 8 pixels" in warning and "cats/dot.png" in warning for warning in told)
    assert any("16 bits" in warning and "dogs/deep.png" in warning for warning in told)


def test_photos_are_cropped_to_the_middle(tmp_path: Path) -> None:
    """A wide photo, black at its ends and white in the middle: the square is white."""
    pixels = np.zeros((60, 180), np.uint8)
    pixels[:, 60:120] = 255
    files = {
        f"{c}/{i}.png": encoded(Image.fromarray(pixels - np.uint8(i + 9 * (c == "b")))) for c in "ab" for i in range(4)
    }
    imported(tmp_path, files)
    data = load_dataset("mine", 30, folder=tmp_path / "datasets")
    assert data.train.images.shape[1:] == (1, 30, 30)
    assert data.train.images[:, :, :, 1:-1].float().mean() > 230


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    given = unpacked(tmp_path / "given", TWO)
    outside = unpacked(tmp_path / "outside", pngs("private", 3, 50)) / "private"
    (given / "cats" / "secret.png").symlink_to(outside / "0.png")
    (given / "more").symlink_to(outside)
    got = import_images(given, "mine", tmp_path / "datasets")
    assert sorted(entry["file"] for entry in got.skipped) == ["cats/secret.png", "more"]
    assert (got.images, got.classes) == (8, 2)


def test_leftovers_of_a_killed_import_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "datasets" / ".import-999999999-abcd"
    left.mkdir(parents=True)
    imported(tmp_path, TWO)
    assert not left.exists()
    assert list(datasets(tmp_path / "datasets"))[-1] == "mine"


def test_a_damaged_cache_is_made_again_and_a_damaged_image_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "datasets"
    imported(tmp_path, TWO)
    first = load_dataset("mine", 16, folder=folder)
    before = first.train.images.clone()
    (cache,) = folder.glob("own-*/cache/*.safetensors")
    data = bytearray(cache.read_bytes())
    data[-5] ^= 1
    cache.write_bytes(data)
    assert np.array_equal(load_dataset("mine", 16, folder=folder).train.images, before)
    next(iter(folder.glob("own-*/images/*"))).write_bytes(b"broken")
    cache.unlink()
    with pytest.raises(UserError, match="can be decoded"):
        load_dataset("mine", 16, folder=folder)


# further rows of the table, and their siblings


def test_a_damaged_entry_and_an_unknown_compression_cost_one_file_each(tmp_path: Path) -> None:
    path = tmp_path / "given.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in TWO.items():
            archive.writestr(name, content)
        archive.writestr("cats/flipped.png", encoded(picture(70)), zipfile.ZIP_STORED)
        archive.writestr("cats/packed.png", encoded(picture(71)), zipfile.ZIP_LZMA)
        archive.writestr(f"cats/{'x' * 260}.png", encoded(picture(72)))
    data = bytearray(path.read_bytes())
    data[data.find(encoded(picture(70))) + 60] ^= 1
    path.write_bytes(data)
    got = import_images(path, "mine", tmp_path / "datasets")
    assert (got.images, got.classes) == (8, 2)
    reasons = {entry["file"][:14]: entry["reason"] for entry in got.skipped}
    assert "CRC" in reasons["cats/flipped.p"]
    assert "method 14" in reasons["cats/packed.pn"]
    assert "longer than 255 bytes" in reasons["cats/xxxxxxxxx"]
    assert len(got.skipped) == 3


OLD_NAMES = {"gb18030": ("猫咪照片", "小狗照片"), "big5": ("貓咪照片", "小狗圖片"), "cp932": ("ねこ", "いぬの写真")}


@pytest.mark.parametrize("encoding", OLD_NAMES)
def test_old_encodings_of_names_are_told_with_an_example(encoding: str, tmp_path: Path) -> None:
    names = OLD_NAMES[encoding]
    raw = [name.encode(encoding) for name in names]
    data = zipped(
        tmp_path / "x.zip",
        {f"{'PQ'[c] * len(raw[c])}/{n}.png": encoded(picture(9 * c + n)) for c in (0, 1) for n in range(4)},
    ).read_bytes()
    for letter, name in zip((b"P", b"Q"), raw, strict=True):
        data = data.replace(letter * len(name), name)
    (tmp_path / "given.zip").write_bytes(data)
    got = import_images(tmp_path / "given.zip", "mine", tmp_path / "datasets")
    assert got.encoding == encoding
    (told,) = [warning for warning in got.warnings if "encoding of its names" in warning]
    assert f"read as {encoding}, for example {names[0]}/" in told
    assert "--encoding" in told
    assert set(load_dataset("mine", 16, folder=tmp_path / "datasets").classes) == set(names)
    other = import_images(tmp_path / "given.zip", "other", tmp_path / "datasets", encoding="cp437")
    assert other.encoding == "cp437"


def test_one_to_ten_thousand_is_accepted_with_a_warning(tmp_path: Path) -> None:
    """As far as the split goes; the pictures themselves are the same few."""
    from core.engine.data.imports.splitting import Picture, assign

    pictures = [Picture(f"much/{n}.png", "much", None, f"m{n}") for n in range(30_000)]
    pictures += [Picture(f"rare/{n}.png", "rare", None, f"r{n}") for n in range(3)]
    chosen, told = assign(pictures)
    assert sorted(chosen[f"rare/{n}.png"] for n in range(3)) == ["test", "train", "validation"]
    assert told == []


def test_odd_things_in_a_folder(tmp_path: Path) -> None:
    """Names that are no text, a pipe, pictures of formats that are not read: a reason each, and the rest is read."""
    given = unpacked(tmp_path / "given", TWO)
    heads = {
        "AVIF": b"\0\0\0\x1cftypavif" + bytes(20),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20),
        "JPEG XL": b"\xff\x0a" + bytes(30),
        "Photoshop": b"8BPS" + bytes(30),
        "icon": b"\0\0\1\0" + bytes(30),
    }
    for kind, head in heads.items():
        (given / "cats" / f"{kind}.png").write_bytes(head)
    os.mkfifo(given / "cats" / "pipe.png")
    with open(os.path.join(os.fsencode(given), b"cats", b"\xff\xfe.png"), "wb") as odd:
        odd.write(TWO["cats/0.png"])
    os.mkdir(os.path.join(os.fsencode(given), b"\xff\xfe"))
    got = import_images(given, "mine", tmp_path / "datasets")
    assert got.images == 8
    reasons = {entry["file"]: entry["reason"] for entry in got.skipped}
    for kind in heads:
        assert reasons[f"cats/{kind}.png"].startswith(kind)
    assert "device" in reasons["cats/pipe.png"]
    assert len(reasons) == len(heads) + 2
    json.dumps(got.to_json()).encode()


def test_an_early_end_leaves_nothing(tmp_path: Path) -> None:
    """Whatever the receiver of progress raises, at any word."""
    path = zipped(tmp_path / "given.zip", TWO)
    for stop in (1, 6, 11, 16):  # looking at each of eight files, decoding each
        left = [stop]

        def halt(what: str, done: int, total: int | None, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise InterruptedError(what)

        with pytest.raises(InterruptedError):
            import_images(path, "mine", tmp_path / "datasets", progress=halt)
        assert not list((tmp_path / "datasets").glob("*")) + list((tmp_path / "datasets").glob(".*"))


def test_what_cannot_be_read_is_not_called_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder and a file without permission, as they are for anyone but root."""
    given = unpacked(tmp_path / "given", {**TWO, **pngs("birds", 3, 50)})
    walk, opens = os.scandir, Path.open

    def scandir(path: str) -> Any:
        if os.path.basename(path) == "birds":
            raise PermissionError(13, "Permission denied", path)
        return walk(path)

    def open_(self: Path, *words: Any, **more: Any) -> Any:
        if self.parts[-2:] == ("cats", "1.png"):
            raise PermissionError(13, "Permission denied", str(self))
        return opens(self, *words, **more)

    monkeypatch.setattr("os.scandir", scandir)
    monkeypatch.setattr(Path, "open", open_)
    got = import_images(given, "mine", tmp_path / "datasets")
    assert got.skipped == [
        {"file": "cats/1.png", "reason": "damaged: it cannot be read: Permission denied"},
        {"file": "birds", "reason": "the folder cannot be read: Permission denied"},
    ]
    assert any("birds (1 × the folder cannot be read" in warning for warning in got.warnings)


def test_a_stream_that_breaks_at_once_is_damaged_and_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "given.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in TWO.items():
            archive.writestr(name, content)
        archive.writestr("cats/broken.png", encoded(picture(70)) * 9, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    start = data.find(b"cats/broken.png") + len(b"cats/broken.png")
    data[start : start + 20] = b"\xff" * 20
    path.write_bytes(data)
    got = import_images(path, "mine", tmp_path / "datasets")
    assert got.skipped == [{"file": "cats/broken.png", "reason": "damaged: it cannot be unpacked"}]


@pytest.mark.parametrize("its_thread_waits", [0.3, 0.0])
def test_who_stops_listening_leaves_no_decoder_behind(
    own_child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, its_thread_waits: float
) -> None:
    """Both decoders are amid their first image, and would give it a second try, before or after they are closed."""
    for name in ("SECONDS", "STILL"):
        monkeypatch.setattr(f"core.engine.data.imports.decoder_pool.{name}", 60.0)
    begun = tmp_path / "begun"
    begun.mkdir()
    wait = f"import os, pathlib, time; all = pathlib.Path({str(begun)!r}); (all / str(os.getpid())).touch()\n"
    own_child.write_text(f"{wait}if len(list(all.iterdir())) <= 2: time.sleep(60)\n{SERVE}")

    def files() -> Iterator[tuple[str, bytes]]:
        for name in ("one", "two"):
            yield name, TWO["cats/0.png"]
        while len(list(begun.iterdir())) < 2:
            time.sleep(0.01)
        raise KeyboardInterrupt

    def start(script: Path, **environment: str) -> subprocess.Popen[bytes]:
        children.append(start_child(script, **environment))
        return children[-1]

    def end(child: subprocess.Popen[bytes]) -> None:
        child.kill()
        here = threading.current_thread() is threading.main_thread()
        time.sleep(0.3 if here else its_thread_waits)  # in which its thread sees the end of the pipe
        end_child(child)

    children: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr("core.engine.data.imports.decoder_pool.start_child", start)
    monkeypatch.setattr("core.engine.data.imports.decoder_pool.end_child", end)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        list(decode_all(files(), 1000))
    assert all(child.returncode is not None for child in children)
