"""A model packed as a zip for somewhere else, unpacked again and compared with what was measured.

The zip is in the job's folder, under the name of `core.bundling.ZIP`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from core.bundle import point_of
from core.catalog import Catalog, load_catalog
from core.errors import UserError, nearest
from core.questions.request import Request
from core.runs import Run

QUANTIZE, INSIDE = "quantize", "onnx"  # a stage whose integers only some formats hold; what every bundle has


@dataclass(frozen=True)
class Compared:
    """On how many of `images` the answer is the one that was measured, and the largest difference: of a logit where
    logits were kept, else of the probability of the answer."""

    images: int
    same: int
    difference: float


@dataclass(frozen=True)
class Format:
    """A further format in the zip: how it answers beside the measured file, or why it is not there."""

    name: str
    compared: Compared | None = None
    refused: dict[str, str] | None = None


@dataclass(frozen=True)
class Bundled:
    """What was packed. `test` compares the whole test split, `samples` the logits of the images inside; None where the
    images are not here any more, or were not kept."""

    name: str
    bytes: int
    files: tuple[str, ...]
    test: Compared | None = None
    samples: Compared | None = None
    formats: tuple[Format, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether it was compared, and every answer is the measured one."""
        found = [one for one in (self.test, self.samples) if one is not None]
        return bool(found) and all(one.same == one.images for one in found)


@dataclass(frozen=True)
class BundleRequest(Request[Bundled]):
    """The model of a run's `step`, and the export `formats` to pack next to its ONNX file."""

    kind: ClassVar[str] = "bundle"
    overtaken: ClassVar[bool] = True

    run: str
    step: int
    formats: tuple[str, ...] = ()


def question(run: Run, step: int | None = None, formats: Iterable[str] = ()) -> BundleRequest:
    """The request for the model of `step` (default: the last), with further export formats.

    Raises UserError where the run has no such point, or the point cannot be had in such a format.
    """
    point = point_of(run, step)
    asked = tuple(dict.fromkeys(formats))
    offered = formats_of(run, point.step)
    for name in asked:
        if name not in offered:
            allowed = f"of {', '.join(offered)}" if offered else "none: the ONNX file is all there is"
            raise UserError("unknown_format", "formats", name, allowed, nearest(name, offered))
    return BundleRequest(run.id, point.step, asked)


def formats_of(run: Run, step: int, catalog: Catalog | None = None) -> tuple[str, ...]:
    """The export formats that can be packed next to the ONNX file of `step`; a quantized file can only be had in those
    that hold its integers. None for a run whose recipe cannot be read."""
    try:
        steps = run.recipe().steps[: step + 1]
    except (OSError, ValueError):
        return ()
    quantized = any(one.stage == QUANTIZE for one in steps)
    menu = (catalog or load_catalog()).methods["export"]
    return tuple(name for name, entry in menu.items() if name != INSIDE and (entry.takes_quantized or not quantized))
