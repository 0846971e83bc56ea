"""Converts photos of any size to square uint8 pixels: cropped, padded or stretched."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.engine.data.cache import Part
from core.engine.data.dataset import Indices
from core.errors import UserError
from core.own.datasets import CARD, UNPACKED
from core.storage.sealed import DamagedError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # PPM: German traffic signs
PADDING = 128  # grey of padding, about the mean of photos
Progress = Callable[[str, int, int | None], None]
NAMED_BY_HASH = re.compile(r"[0-9a-f]{64}")


def square(image: Image.Image, size: int, shape: str) -> Image.Image:
    """The image as size × size, bilinear and antialiased: `crop` keeps the centre, `pad` adds grey bars, `stretch`
    changes the aspect ratio."""
    if shape == "pad":
        scale = size / max(image.size)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        resized = image.resize(inner, Image.Resampling.BILINEAR, reducing_gap=3.0)
        padded = Image.new(image.mode, (size, size), (PADDING,) * len(image.getbands()))
        padded.paste(resized, ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return padded
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side) if shape == "crop" else (0, 0, *image.size)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)


def read_square(path: Path, size: int, channels: int, shape: str = "crop", digest: str = "") -> NDArray[np.uint8]:
    """A stored photo as uint8 [channels, size, size]; raises UserError on a damaged file. It is checked against
    `digest`, the SHA-256 of its content, or against its name if that is one, as for imported photos."""
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(BytesIO(_content(path, digest)), formats=FORMATS) as image:
            image.draft(
                mode, (2 * size, 2 * size)
            )  # a JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that is enough
            pixels = np.asarray(square(image.convert(mode), size, shape))
    except (OSError, ValueError, SyntaxError) as error:
        home = _home(path)
        fix = f"Delete the folder datasets/{home.name} of the workspace, then download or import the images again."
        given = path.relative_to(home.parent).as_posix()
        allowed = "an image that can be decoded, as it was stored"
        raise UserError("damaged_image", "dataset", given, allowed, fix) from error
    return pixels.reshape(size, size, channels).transpose(2, 0, 1)


def _content(path: Path, digest: str) -> bytes:
    data = path.read_bytes()
    expected = digest or (path.stem if NAMED_BY_HASH.fullmatch(path.stem) else "")
    if expected and hashlib.sha256(data).hexdigest() != expected:
        raise DamagedError("its content does not match its hash")
    return data


def _home(path: Path) -> Path:
    """The folder of the dataset that a photo belongs to."""
    return next((up for up in path.parents if any((up / name).exists() for name in (CARD, UNPACKED))), path.parents[1])


def photo_part(
    paths: Sequence[Path],
    labels: Indices,
    size: int,
    channels: int,
    tick: Callable[[int], None] | None = None,
    shape: str = "crop",
    digests: Sequence[str] = (),
) -> Part:
    """A split to decode into its cache, with up to 8 threads; `tick` is called with numbers of new images, `shape` is
    how pictures become square, `digests` are the SHA-256 of the files, if known."""

    def fill(out: NDArray[np.uint8]) -> None:
        def put(index: int) -> None:
            out[index] = read_square(paths[index], size, channels, shape, digests[index] if digests else "")

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for done, _ in enumerate(pool.map(put, range(len(paths))), 1):
                if tick is not None and (done % 100 == 0 or done == len(paths)):
                    tick(min(100, (done - 1) % 100 + 1))

    return Part(labels, fill)
