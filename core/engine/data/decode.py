"""The child process that decodes a person's images, so that a hostile file meets no secrets and can be killed.

Started as a plain script (`python -I decode.py`), so it imports Pillow and nothing of ours. It reads `length, bytes`
from its standard input and answers `length, JSON, length, bytes`: the image rotated upright, grey or RGB, its shorter
side at most 512 pixels, encoded anew as PNG or JPEG without any metadata. Lengths are 8 bytes, little-endian.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import resource
import sys
import warnings
from typing import Any, BinaryIO

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MOST_PIXELS = 50_000_000
SHORTER_SIDE = 512
LOSSLESS_UP_TO = 128 * 128  # pixels: a small JPEG is kept exactly, as PNG
MEMORY = 3 * 2**30


class Unreadable(ValueError):
    """Why an image is skipped."""


def decode(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Facts about the image, and its new encoding; raises Unreadable with a reason a person understands."""
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        kind = str(image.format)
        notes = _check(image)
        image.draft(image.mode, (2 * SHORTER_SIDE, 2 * SHORTER_SIDE))
        image.load()
        turned = ImageOps.exif_transpose(image)
    except UnidentifiedImageError as error:
        raise Unreadable("damaged: its header cannot be read") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("damaged or cut off") from error
    if image.getexif().get(0x0112, 1) in range(2, 9):
        notes.append("rotated")
    image = _shrunk(_eight_bits(turned, notes))
    if image.mode == "RGB" and _is_grey(image):
        image = image.getchannel(0)
    encoded, suffix = _encoded(image, kind)
    pixels = hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()
    facts = {"kind": kind, "width": image.width, "height": image.height, "channels": len(image.getbands())}
    name = hashlib.sha256(encoded).hexdigest() + suffix
    return {**facts, "pixels": pixels, "file": name, "notes": notes}, encoded


def _check(image: Image.Image) -> list[str]:
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise Unreadable(f"{image.width} × {image.height} = {pixels / 1e6:.0f} megapixels; at most 50 are read")
    if image.mode == "F":
        raise Unreadable("32-bit float pixels; 8 and 16 bits are read")
    if image.mode == "I" and image.format != "PNG":
        raise Unreadable("32-bit whole-number pixels; 8 and 16 bits are read")
    return ["animated"] if getattr(image, "n_frames", 1) > 1 and image.format != "MPO" else []


def _eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """Grey or RGB with 8 bits: 16 bits are scaled by 1/257, never clipped; what is transparent becomes white."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        import numpy as np

        notes.append("16 bits")
        return Image.fromarray(np.round(np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.getextrema() != (255, 255):
            notes.append("transparent")
        white = Image.new("RGB", image.size, "white")
        white.paste(image.convert("RGB"), mask=alpha)
        return white
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _shrunk(image: Image.Image) -> Image.Image:
    shorter = min(image.size)
    if shorter <= SHORTER_SIDE:
        return image
    width, height = (max(1, round(side * SHORTER_SIDE / shorter)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = image.split()
    return all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))


def _encoded(image: Image.Image, kind: str) -> tuple[bytes, str]:
    out = io.BytesIO()
    if kind in ("JPEG", "MPO", "WEBP") and image.width * image.height > LOSSLESS_UP_TO:
        image.save(out, "JPEG", quality=95, subsampling=0)
        return out.getvalue(), ".jpg"
    image.save(out, "PNG", compress_level=3)
    return out.getvalue(), ".png"


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers every image on `source` until it ends."""
    while header := source.read(8):
        data = b""
        facts: dict[str, Any]
        try:
            facts, data = decode(source.read(int.from_bytes(header, "little")))
        except Unreadable as reason:
            facts = {"reason": str(reason)}
        except MemoryError:
            facts = {"reason": "needs more memory than an image may take"}
        for part in (json.dumps(facts).encode(), data):
            sink.write(len(part).to_bytes(8, "little"))
            sink.write(part)
        sink.flush()


def confine() -> None:
    """At most 3 GiB of memory, and not one byte written to a file."""
    for limit, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(limit, (value, value))


if __name__ == "__main__":
    confine()
    warnings.simplefilter("ignore")  # standard output is the protocol, and nobody reads standard error
    Image.MAX_IMAGE_PIXELS = None  # `_check` counts them before anything is decoded
    serve(sys.stdin.buffer, sys.stdout.buffer)
