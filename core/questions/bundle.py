"""Request: pack a model as a zip for use elsewhere, unpack it again and compare its answers with the measured ones.

The zip is in the job's folder, under the name `core.run_files.bundling.ZIP`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from core.catalog import Catalog, load_catalog
from core.errors import UserError, nearest
from core.questions.request import Request
from core.run_files.bundle import point_of
from core.runs import Run

QUANTIZE, INSIDE = "quantize", "onnx"  # the stage whose integers few formats can hold; the format in every bundle


@dataclass(frozen=True)
class Compared:
    """For how many of `images` the answer is the `same` as measured, and the largest `difference`: of a logit if logits
    were stored, otherwise of the probability of the answer."""

    images: int
    same: int
    difference: float


@dataclass(frozen=True)
class Format:
    """An additional format in the zip: its answers compared with those of the measured file, or why it is missing."""

    name: str
    compared: Compared | None = None
    refused: dict[str, str] | None = None


@dataclass(frozen=True)
class Bundled:
    """What was packed: the zip's `name`, its `bytes` and `files`. `test` compares the whole test split, `samples` the
    logits of the images in the bundle; None if those images are no longer available."""

    name: str
    bytes: int
    files: tuple[str, ...]
    test: Compared | None = None
    samples: Compared | None = None
    formats: tuple[Format, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether it was compared and every answer is the measured one."""
        found = [one for one in (self.test, self.samples) if one is not None]
        return bool(found) and all(one.same == one.images for one in found)


@dataclass(frozen=True)
class BundleRequest(Request[Bundled]):
    """Packs the model of a run's `step`, with further export `formats` besides its ONNX file."""

    kind: ClassVar[str] = "bundle"
    overtaken: ClassVar[bool] = True

    run: str
    step: int
    formats: tuple[str, ...] = ()


def question(run: Run, step: int | None = None, formats: Iterable[str] = ()) -> BundleRequest:
    """The request for the model of `step` (default: the last), with further export formats.

    Raises UserError if the run has no such point, or if the point is not available in such a format.
    """
    point = point_of(run, step)
    asked = tuple(dict.fromkeys(formats))
    offered = formats_of(run, point.step)
    for name in asked:
        if name not in offered:
            allowed = f"one of {', '.join(offered)}" if offered else "none: only the ONNX file is available"
            raise UserError("unknown_format", "formats", name, allowed, nearest(name, offered))
    return BundleRequest(run.id, point.step, asked)


def formats_of(run: Run, step: int, catalog: Catalog | None = None) -> tuple[str, ...]:
    """The export formats available besides the ONNX file of `step`; for a quantized file only those that can hold its
    integers. Empty if the run's recipe cannot be read."""
    try:
        steps = run.recipe().steps[: step + 1]
    except (OSError, ValueError):
        return ()
    quantized = any(one.stage == QUANTIZE for one in steps)
    menu = (catalog or load_catalog()).methods["export"]
    return tuple(name for name, entry in menu.items() if name != INSIDE and (entry.takes_quantized or not quantized))
