"""The child process that decodes a person's images, so that a hostile file meets no secrets and can be killed.

Started as a plain script (`python -I`), so it imports Pillow and nothing of ours. It reads `white, side, length,
bytes` from its standard input and answers `length, JSON, length, bytes`: the image rotated upright, grey or RGB, its
shorter side at most 512 pixels, encoded anew as PNG or JPEG without any metadata. Lengths are 8 bytes, little-endian,
and so is `white`: the value that counts as white in images of 16 bits. Where it is 0 such an image is only looked at:
the answer says how large its values are and what its file states, and holds no image. Where `side` is not 0, the image
is answered as it is: upright, with 8 bits, as bare pixels.

What a bundle's predict.py shares with it is the same there, line by line, so that both see the same pixels.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import resource
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MOST_PIXELS = 50_000_000
SHORTER_SIDE = 512
WHOLE = 2**32  # the side of an image that is decoded at its full size
LOSSLESS_UP_TO = 128 * 128  # pixels: a small JPEG is kept exactly, as PNG
MEMORY = 3 * 2**30
WHITE = 65535
STRAY = 10_000  # pixels, of which one may be above the depth of the data
LOW_BYTES = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
NEW_SUBFILE_TYPE, MAKE, SUB_IFDS, DNG_VERSION = 254, 271, 330, 50706  # TIFF 6.0's, TIFF/EP's and DNG's tags
BITS_PER_SAMPLE, DESCRIPTION, MOST_SAMPLE, MOST_SIGNED = 258, 270, 281, 341  # TIFF 6.0's tags
ORIENTATION = 0x0112  # EXIF's tag
TURNS = {  # by EXIF's orientation: what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BROKEN = (  # what Pillow raises on a damaged file
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
)
_STATED = re.compile(
    r"(?:significant[ _-]?bits|bit[ _-]?depth|bits[ _-]?per[ _-]?(?:sample|pixel|channel))\W{1,4}(\d{1,2})\b", re.I
)


class Unreadable(ValueError):
    """Why an image is skipped, in words for people."""


def decode(data: bytes, white: int = WHITE) -> tuple[dict[str, Any], bytes]:
    """Facts about the image, and its new encoding; raises Unreadable with a reason a person understands."""
    with reporting_damage():
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        kind = str(image.format)
        notes = _check(image)
        deep = deep_pixels(data)
        own = own_white(image)
        if deep is not None:
            notes.append("16 bits")
            if not (white or own):
                samples = deep[:, :, :3] if deep.ndim == 3 else deep  # without transparency
                highest = int(samples.max(initial=0))
                return {"peak": peak_of(samples), "stated": _stated(image, data), "highest": highest}, b""
        else:
            image.draft(image.mode, (2 * SHORTER_SIDE, 2 * SHORTER_SIDE))
        if orientation(image) > 1:
            notes.append("rotated")
        clean, transparent = eight_bits(turned(image) if deep is None else image, deep, own or white)
    if transparent:
        notes.append("transparent")
    return stored(clean, kind, notes)


def stored(image: Image.Image, kind: str, notes: list[str]) -> tuple[dict[str, Any], bytes]:
    """Facts about an 8-bit image as it is stored, and its encoding; `kind` is the format it came in."""
    clean = without_colour(shrunk(image))
    encoded = encode(clean, kind)
    pixels = hashlib.sha256(f"{clean.mode} {clean.size} ".encode() + clean.tobytes()).hexdigest()
    facts = {"kind": kind, "width": clean.width, "height": clean.height, "channels": len(clean.getbands())}
    name = hashlib.sha256(encoded).hexdigest() + (".jpg" if encoded.startswith(b"\xff\xd8") else ".png")
    return {**facts, "pixels": pixels, "file": name, "notes": notes}, encoded


def view(data: bytes, white: int, side: int) -> tuple[dict[str, Any], bytes]:
    """Mode and size of the image, upright, and its pixels row by row; a JPEG is decoded at a half, a quarter or an
    eighth where that leaves `side` pixels. Raises Unreadable."""
    with reporting_damage():
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check(image)
        deep = deep_pixels(data)
        if deep is None and side < WHOLE:
            image.draft(image.mode, (side, side))
        clean, _ = eight_bits(turned(image) if deep is None else image, deep, own_white(image) or white)
    return {"mode": clean.mode, "width": clean.width, "height": clean.height}, clean.tobytes()


@contextlib.contextmanager
def reporting_damage() -> Iterator[None]:
    """What Pillow raises on a broken file, as Unreadable."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise Unreadable("damaged: its header cannot be read") from error
    except BROKEN as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("damaged or cut off") from error


def _check(image: Image.Image) -> list[str]:
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise Unreadable(f"{image.width} × {image.height} = {pixels / 1e6:.0f} megapixels; at most 50 are read")
    if _preview_of_raw(image):
        raise Unreadable("a camera's raw file, of which only the small preview can be read: save it as JPEG or PNG")
    if image.mode == "F":
        raise Unreadable("32-bit float pixels; 8 and 16 bits are read")
    if image.mode == "I" and image.format != "PNG":
        raise Unreadable("32-bit or signed whole-number pixels; 8 and 16 bits without a sign are read")
    if any("LA;16" in str(tile[3]) for tile in getattr(image, "tile", [])):
        raise Unreadable("16-bit grey with transparency; save it without transparency")
    return ["animated"] if getattr(image, "n_frames", 1) > 1 and image.format != "MPO" else []


def _preview_of_raw(image: Image.Image) -> bool:
    """Whether the first image of a TIFF only stands for a larger one: NewSubfileType says so, it has DNG's version, or
    further images lie in SubIFDs and a camera is named (NEF, ARW, CR2 …)."""
    tags = getattr(image, "tag_v2", {})
    kind = tags.get(NEW_SUBFILE_TYPE, 0)
    small = isinstance(kind, int) and kind & 1 == 1
    return image.format == "TIFF" and (small or DNG_VERSION in tags or (SUB_IFDS in tags and MAKE in tags))


def peak_of(samples: np.ndarray) -> int:
    """The largest value of [H, W] or [H, W, C] without stray pixels: one, or one in 10,000 in larger images.

    Hot pixels of a sensor and single damaged pixels say nothing about the depth of the data. Pixels are ordered by
    their brightest channel.
    """
    pixels = (samples.max(axis=2) if samples.ndim == 3 else samples).ravel()
    if len(pixels) < 2:
        return int(pixels.max(initial=0))
    place = len(pixels) - 1 - max(1, len(pixels) // STRAY)
    return int(np.partition(pixels, place)[place])


def _stated(image: Image.Image, data: bytes) -> int:
    """The largest possible sample value as stated in the file, 255 to 65,535; 0 if it is not stated.

    TIFF's MaxSampleValue, SMaxSampleValue and ImageDescription ("SignificantBits=12", "bit depth: 14"), PNG's sBIT.
    """
    tags = getattr(image, "tag_v2", {})
    found = [tags.get(number) for number in (MOST_SAMPLE, MOST_SIGNED)]
    values = [max(value) if isinstance(value, tuple) else value for value in found if value]
    if match := _STATED.search(str(tags.get(DESCRIPTION, ""))):
        values.append(2 ** int(match[1]) - 1)
    if image.format == "PNG" and (bits := _significant(data)):
        values.append(2**bits - 1)
    usable = [int(value) for value in values if isinstance(value, int | float) and 255 <= value <= WHITE]
    return (1 << max(usable).bit_length()) - 1 if usable else 0


def _significant(data: bytes) -> int:
    """The bits stated in a PNG's sBIT chunk, which precedes the pixels; 0 without one."""
    at = 8
    while at + 12 <= len(data) and (kind := data[at + 4 : at + 8]) not in (b"IDAT", b"IEND"):
        length = int.from_bytes(data[at : at + 4], "big")
        if kind == b"sBIT" and 1 <= length <= 4:
            return min(16, max(data[at + 8 : at + 8 + length], default=0))
        at += 12 + length
    return 0


def own_white(image: Image.Image) -> int:
    """What is white in a TIFF whose samples have 9 to 15 bits, packed; 0 for any other file."""
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
    deepest: int = max(bits) if isinstance(bits, tuple) else bits
    return (1 << deepest) - 1 if 8 < deepest < 16 else 0


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where the EXIF data cannot be read. Their other fields do not matter."""
    if image.format == "PNG":
        image.load()  # its EXIF data may follow its pixels
    try:
        found = image.getexif().get(ORIENTATION, 1)
        return int(found) if found in TURNS else 1
    except BROKEN:
        return 1


def turned(image: Image.Image) -> Image.Image:
    """The image upright, as its EXIF data say."""
    way = TURNS.get(orientation(image))
    return image if way is None else image.transpose(way)


def deep_pixels(data: bytes) -> np.ndarray | None:
    """uint16 [H, W] or [H, W, 3 or 4] of an image with 16 bits a sample, upright; None for any other.

    Pillow reads such grey images whole, of colour only the upper bytes; read once more in the other byte order, it
    gives the lower ones.
    """
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(turned(image))
        return grey.astype(np.int64).clip(0, WHITE).astype(np.uint16)
    if image.mode not in ("RGB", "RGBA") or not any(";16" in str(tile[3]) for tile in image.tile):
        return None
    other = Image.open(io.BytesIO(data), formats=FORMATS)
    other.tile = [type(tile)(*tile[:3], other_bytes(tile[3])) for tile in other.tile]
    high, low = (np.asarray(turned(half)).astype(np.uint16) for half in (image, other))
    return high * np.uint16(256) + low


def other_bytes(args: Any) -> Any:
    """The arguments of a decoder with the other byte of each sample."""
    if isinstance(args, tuple):
        return (other_bytes(args[0]), *args[1:])
    name, order = args.split(";")
    return f"{name};{LOW_BYTES[order]}"


def eight_bits(image: Image.Image, deep: np.ndarray | None, white: int) -> tuple[Image.Image, bool]:
    """Grey or RGB with 8 bits, and whether anything was transparent: that becomes white.

    `deep` holds the samples where they have 16 bits; they are scaled so that `white` is 255, and what lies above it is
    white too.
    """
    if deep is not None:
        scaled = np.round(np.arange(WHITE + 1) * (255 / white)).clip(0, 255).astype(np.uint8)[deep]
        if deep.ndim == 3 and deep.shape[2] == 4 and int(deep[:, :, 3].max(initial=0)) > white:
            scaled[:, :, 3] = deep[:, :, 3] // 256
        image = Image.fromarray(scaled)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image.convert("RGB"), mask=alpha)
        return flat, alpha.getextrema() != (255, 255)
    return image.convert("L" if image.mode in ("1", "L") else "RGB"), False


def shrunk(image: Image.Image) -> Image.Image:
    """At most 512 pixels at the shorter side."""
    shorter = min(image.size)
    if shorter <= SHORTER_SIDE:
        return image
    width, height = (max(1, round(side * SHORTER_SIDE / shorter)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def without_colour(image: Image.Image) -> Image.Image:
    """Grey where red, green and blue are the same everywhere."""
    if image.mode != "RGB":
        return image
    red, green, blue = image.split()
    grey = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    return red if grey else image


def encode(image: Image.Image, kind: str) -> bytes:
    """The image as stored: photos as JPEG, all others lossless."""
    out = io.BytesIO()
    if kind in ("JPEG", "MPO", "WEBP") and image.width * image.height > LOSSLESS_UP_TO:
        image.save(out, "JPEG", quality=95, subsampling=0)
    else:
        image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers every image on `source` until it ends."""
    while header := source.read(24):
        data = b""
        facts: dict[str, Any]
        white, side, length = (int.from_bytes(header[at : at + 8], "little") for at in (0, 8, 16))
        try:
            content = source.read(length)
            facts, data = view(content, white, side) if side else decode(content, white)
        except Unreadable as reason:
            facts = {"reason": str(reason)}
        except MemoryError:
            facts = {"reason": "needs more memory than an image may take"}
        for part in (json.dumps(facts).encode(), data):
            sink.write(len(part).to_bytes(8, "little"))
            sink.write(part)
        sink.flush()


def confine() -> None:
    """Limits this process to 3 GiB of memory and no bytes written to files."""
    for limit, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(limit, (value, value))


if __name__ == "__main__":
    confine()
    warnings.simplefilter("ignore")  # standard output is the protocol, and nobody reads standard error
    Image.MAX_IMAGE_PIXELS = None  # `_check` counts them before anything is decoded
    serve(sys.stdin.buffer, sys.stdout.buffer)
