"""Where in an image saved models see the reason for a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from core.questions.request import Request

Method = Literal["grad_cam", "rollout", "occlusion"]
Why = Literal["gradients", "attention", "chosen", "no_gradients", "no_maps"]


@dataclass(frozen=True)
class Look:
    """One model: the class it answers with its probability, and that of the class asked about; the image with its map
    of reasons over it as PNG, in base64; where the map is highest, as shares of height and width, None where nothing
    in the image speaks for the class, or attention goes evenly to all of it."""

    answer: int
    probability: float
    asked: float
    overlay: str
    peak: tuple[float, float] | None


@dataclass(frozen=True)
class Saliency:
    """The test image as PNG and its class; the class asked about; by which `method` all maps were made, and `why`:
    every model has `gradients`, or `attention` between all patches; it was `chosen`; a saved file has `no_gradients`,
    or a network has `no_maps` of features. A `rollout` is the same for every class. `overlap` is the share that the
    fifth of the pixels with the highest values has in common, intersection over union, of the first two maps."""

    classes: tuple[str, ...]
    label: int
    target: int
    picture: str
    method: Method
    why: Why
    looks: tuple[Look, ...]
    overlap: float | None = None


@dataclass(frozen=True)
class SaliencyRequest(Request[Saliency]):
    """The points, each named as by `core.run_files.sides.Side.id`, on the test image at `place` of the first one's
    run; about the class `target`, None for the first one's answer; by `method`, None for the one that all of them
    allow."""

    kind: ClassVar[str] = "saliency"

    points: tuple[str, ...]
    place: int
    target: int | None = None
    method: Method | None = None
