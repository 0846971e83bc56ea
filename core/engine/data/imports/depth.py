"""The value of white in 16-bit images: cameras, scanners and microscopes often use only 10 to 14 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WHITE = 65535


@dataclass(frozen=True)
class Deep:
    """Values of a 16-bit image: the largest without stray pixels (see `decoder_child.peak_of`), the largest possible as
    stated in the file (0: not stated), and the largest of all."""

    peak: int
    stated: int
    highest: int = 0


def white_of(images: Sequence[Deep]) -> int:
    """The value of white for all of them: one scale for the dataset, so that brightness remains comparable.

    It is the largest value stated in the files; for a file that states none, or too small a one, the smallest 2^k − 1
    from 255 on that is not below its peak. A few hot pixels are ignored; they become white.
    """
    return max((_white(image) for image in images), default=WHITE)


def _white(image: Deep) -> int:
    return image.stated if image.stated >= max(image.peak, 1) else max(255, (1 << image.peak.bit_length()) - 1)


def scaling_remark(images: Sequence[Deep], white: int) -> str:
    """How the images were scaled, in one sentence."""
    bits, peak = white.bit_length(), max(image.peak for image in images)
    by = "the files say so" if any(image.stated == white for image in images) else f"the largest value is {peak:,}"
    beyond = [image.highest for image in images if image.highest > white]
    stray = (
        f"; {len(beyond)} of them have single pixels above it, up to {max(beyond):,}, which become white"
        if beyond
        else ""
    )
    return f"{len(images)} images of 16 bits use {bits} bits: scaled so that {white:,} is white ({by}){stray}"
