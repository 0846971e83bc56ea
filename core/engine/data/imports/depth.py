"""What counts as white in images of 16 bits: cameras, scanners and microscopes often fill 10 to 14 of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WHITE = 65535


@dataclass(frozen=True)
class Deep:
    """An image of 16 bits as the decoder looked at it: the largest value that is no stray pixel's (see
    `decoder_child.peak_of`), the largest that its file says it could have, 0 where it says nothing, and the largest of
    all."""

    peak: int
    stated: int
    highest: int = 0


def white_of(images: Sequence[Deep]) -> int:
    """The value that is white in all of them: one factor for the set, so that brightness stays comparable.

    The largest of what the files state; where one states nothing, or less than it holds, the smallest 2^k − 1 from 255
    on that is not below its peak. A few hot pixels do not decide: they become white.
    """
    return max((_white(image) for image in images), default=WHITE)


def _white(image: Deep) -> int:
    return image.stated if image.stated >= max(image.peak, 1) else max(255, (1 << image.peak.bit_length()) - 1)


def told(images: Sequence[Deep], white: int) -> str:
    """How the images were scaled, in a sentence."""
    bits, peak = white.bit_length(), max(image.peak for image in images)
    by = "the files say so" if any(image.stated == white for image in images) else f"the largest value is {peak:,}"
    beyond = [image.highest for image in images if image.highest > white]
    stray = (
        f"; {len(beyond)} of them hold single pixels above it, up to {max(beyond):,}, which become white"
        if beyond
        else ""
    )
    return f"{len(images)} images of 16 bits hold {bits}: scaled so that {white:,} is white ({by}){stray}"
