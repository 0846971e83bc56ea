"""Request: measure the accuracy of a network with a single layer pruned or quantized, layer by layer.

Li et al. 2017, Pruning Filters for Efficient ConvNets, arXiv:1608.08710 (figure 2b): the other layers are unchanged,
and nothing is trained afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict

from core.errors import UserError, nearest
from core.jobs import Document
from core.points import Point
from core.questions.request import Request
from core.runs import Run

What = Literal["ratio", "bits"]
VALUES: dict[str, tuple[float, ...]] = {"ratio": (0.0, 0.25, 0.5, 0.75, 0.9), "bits": (32, 8, 6, 4, 3, 2)}
LIMIT = 500  # validation images; 0 takes all


class Row(BaseModel):
    """The validation accuracy with one layer changed: `value` is the share of channels removed, or the bits of its
    weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    layer: str
    value: int | float
    validation_accuracy: float


@dataclass(frozen=True)
class Sensitivity:
    """The rows so far, layer by layer, on `images` validation images; `cached`: whether all came from the cache."""

    rows: tuple[Row, ...] = ()
    images: int = 0
    cached: bool = False


@dataclass(frozen=True)
class SensitivityRequest(Request[Sensitivity]):
    """Measures the network of a run's `step` at each of VALUES[`what`], on at most `limit` images (0: all)."""

    kind: ClassVar[str] = "sensitivity"
    overtaken: ClassVar[bool] = True

    run: str
    step: int
    what: What
    limit: int


def question(run: Run, step: int | None, what: str, limit: int) -> SensitivityRequest:
    """The request for a run's step, by default the last unquantized one; raises UserError on invalid arguments."""
    known: What | None = next((name for name in get_args(What) if name == what), None)
    if known is None:
        raise UserError("unknown_choice", "what", what, f"one of {', '.join(VALUES)}", nearest(what, VALUES))
    if limit < 0:
        raise UserError("out_of_range", "limit", limit, "0 for all validation images, or their number", "Set it to 0.")
    return SensitivityRequest(run.id, float_point(run, step).step, known, limit)


def float_point(run: Run, step: int | None) -> Point:
    """The point whose network is measured, by default the last unquantized one; raises UserError if there is none."""
    points = {point.step: point for point in run.summary().points if point.stage != "quantize"}
    if not points:
        fix = "Wait until a step is measured, or run the recipe again."
        raise UserError("no_points", "run", run.id, "a run with a measured step before it quantizes", fix)
    chosen = max(points) if step is None else step
    if chosen not in points:
        fix = "Steps count from 0; a quantized file and an export have no network of their own to change."
        raise UserError("unknown_step", "step", chosen, f"one of {', '.join(map(str, points))}", fix)
    return points[chosen]


def rows(document: Document | None) -> tuple[Row, ...]:
    """The rows of an answer, whole or partial."""
    return SensitivityRequest.answer_from_document(document or {}).rows
