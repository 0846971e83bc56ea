"""The range of every activation, observed while calibration images run through the float network in onnxruntime.

Takes two passes over the images and one histogram per tensor, so memory does not grow with the number of images
(onnxruntime's own histogram calibrators keep every activation of every image: 27 MB per image for EfficientNet-Lite0
at 224 px).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from core.engine.measure.runtime import open_session
from core.engine.quantize import Calibration
from core.errors import UserError

BINS = 2048
NARROW = 2 * BINS * float(np.finfo(np.float32).tiny)  # a run flushes smaller bins to 0
LEVELS = 256
PERCENTILE = 99.99
SAMPLE = 65_536  # values counted in the histogram per tensor and image
CHUNK = 8  # images per run: bounds the memory of all activations together
FACTORS = np.linspace(0.02, 1.0, 99)

Range = tuple[float, float]
Histogram = NDArray[np.int64]


def observe(
    model: onnx.ModelProto, names: list[str], images: Calibration, limit: int, method: str
) -> tuple[dict[str, Range], int]:
    """The range [low ≤ 0, high ≥ 0] of the named tensors over at most `limit` images, and the number of images used.

    `method` is minmax, percentile, entropy or mse. Raises UserError if there are no images, or if an activation is not
    finite.
    """
    run = runner(model, names)
    ranges: dict[str, Range] = {}
    seen = 0
    for chunk in chunks(images, limit):
        seen += len(chunk)
        for name, value in zip(names, run(chunk), strict=True):
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = (float(np.minimum(low, value.min())), float(np.maximum(high, value.max())))  # propagates NaN
    _check(ranges, seen)
    if method == "minmax":
        return ranges, seen
    wide = [name for name in names if divisible(ranges[name])]
    histograms = {name: np.zeros(BINS, np.int64) for name in wide}
    for chunk in chunks(images, limit):
        for name, value in zip(names, run(chunk), strict=True):
            if name in histograms:
                histograms[name] += np.histogram(_sample(value), BINS, ranges[name])[0]
    choose = CHOICES[method]
    return {n: choose(histograms[n], ranges[n]) if n in histograms else ranges[n] for n in names}, seen


def divisible(full: Range) -> bool:
    """Whether a range can be cut into bins: all activations of a layer may be the same, or too small for float32."""
    return bool(np.ptp(full) > NARROW)


def shortage(seen: int, limit: int) -> list[str]:
    """A note where fewer images were there than were asked for."""
    return [f"Only {seen} calibration images were there; {limit} were asked for."] if seen < limit else []


def percentile(histogram: Histogram, full: Range) -> Range:
    """The range that excludes 0.01 % of the values at either end; always includes zero."""
    share = np.cumsum(histogram) / histogram.sum()
    edges = np.linspace(*full, BINS + 1)
    tail = 1 - PERCENTILE / 100
    low = edges[np.searchsorted(share, tail, side="right")]
    high = edges[np.searchsorted(share, 1 - tail, side="left") + 1]
    return min(float(low), 0.0), max(float(high), 0.0)


def mse(histogram: Histogram, full: Range) -> Range:
    """The range whose 256 levels give the least squared error; searches both ends together, then each in turn, over 99
    fractions of the full range.

    Source: Nagel et al. 2021, arXiv:2106.08295, section 3.1.
    """
    both = _best(histogram, full, full[0] * FACTORS, full[1] * FACTORS)
    low, high = full[0] * both, full[1] * both
    for _ in range(2):
        high = full[1] * _best(histogram, full, np.full_like(FACTORS, low), full[1] * FACTORS)
        low = full[0] * _best(histogram, full, full[0] * FACTORS, np.full_like(FACTORS, high))
    return low, high


def _best(histogram: Histogram, full: Range, lows: NDArray[np.float64], highs: NDArray[np.float64]) -> float:
    errors = squared_error(histogram, full, lows, highs)
    return float(FACTORS[len(errors) - 1 - np.argmin(errors[::-1])])  # among equals, the widest


def squared_error(
    histogram: Histogram, full: Range, lows: NDArray[np.float64], highs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The squared rounding and clipping error of 256 affine levels over each range [lows, highs], summed over the
    histogram's values at the centres of their bins."""
    used = np.flatnonzero(histogram)
    centres = full[0] + (used + 0.5) * (full[1] - full[0]) / BINS
    scale = np.maximum((highs - lows) / (LEVELS - 1), np.finfo(np.float64).tiny)[:, None]  # a run flushes smaller to 0
    zero = np.rint(-lows[:, None] / scale)
    rounded = (np.clip(np.rint(centres / scale) + zero, 0, LEVELS - 1) - zero) * scale
    return np.asarray((rounded - centres) ** 2 @ histogram[used], np.float64)


def entropy(histogram: Histogram, full: Range) -> Range:
    """The range whose rounded distribution diverges least from the true one (Kullback–Leibler divergence).

    Source: Migacz 2017, 8-bit Inference with TensorRT, with 256 levels. Zeros are left out: a level represents them
    exactly, and after a ReLU they would dominate. Below an eighth of the full range a level is no wider than a bin, and
    the divergence is meaningless.
    """
    zero = -full[0] / (full[1] - full[0]) * BINS  # in bins
    histogram = histogram.copy()
    histogram[min(int(zero), BINS - 1)] = 0
    best, chosen = np.inf, 1.0
    for factor in FACTORS[::-1][: int(len(FACTORS) * 0.87)]:
        first, last = round(zero * (1 - factor)), round(zero + (BINS - zero) * factor)
        divergence = _divergence(histogram, first, last)
        if divergence < best:
            best, chosen = divergence, float(factor)
    return full[0] * chosen, full[1] * chosen


def _divergence(histogram: Histogram, first: int, last: int) -> float:
    inside = histogram[first:last].astype(np.float64)
    reference = inside.copy()  # values outside are clipped to the ends
    reference[0] += histogram[:first].sum()
    reference[-1] += histogram[last:].sum()
    level = np.arange(len(inside)) * LEVELS // len(inside)
    filled = inside > 0
    mass, width = np.bincount(level, inside), np.bincount(level, filled)
    rounded = np.where(filled, (mass / np.maximum(width, 1))[level], 0.0)
    if not rounded.any():
        return float("inf")
    p, q = reference / reference.sum(), np.maximum(rounded / rounded.sum(), 1e-12)
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / q[used])))


CHOICES: dict[str, Callable[[Histogram, Range], Range]] = {"percentile": percentile, "mse": mse, "entropy": entropy}


def runner(model: onnx.ModelProto, names: list[str]) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    given = {value.name for value in (*model.graph.input, *model.graph.output)}
    observed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in given)
    session = open_session(observed.SerializeToString())  # one thread: the same ranges on every machine
    entry = model.graph.input[0].name
    asked = [name for name in names if name != entry]

    def run(chunk: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        values = dict(zip(asked, session.run(asked, {entry: chunk}), strict=True)) | {entry: chunk}
        return [values[name] for name in names]

    return run


def chunks(images: Calibration, limit: int) -> Iterator[NDArray[np.float32]]:
    left = limit
    for batch in images():
        for start in range(0, min(len(batch), left), CHUNK):
            yield np.ascontiguousarray(batch[start : min(start + CHUNK, left)], dtype=np.float32)
        left -= len(batch)
        if left <= 0:
            return


def _sample(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evenly spaced values of a chunk, at most SAMPLE per image: counting all takes three times as long as inference.

    The step is odd, so that it does not align with even widths.
    """
    step = -(-value[0].size // SAMPLE)
    return value.reshape(-1)[:: step + (step % 2 == 0)]


def _check(ranges: dict[str, Range], seen: int) -> None:
    if not seen:
        allowed, fix = "at least one image", "Check the dataset's training split."
        raise UserError("no_images", "calibration", "no images", allowed, fix)
    for name, found in ranges.items():
        if not np.isfinite(found).all():
            fix = "The network overflows on the calibration images: train it again with a lower learning rate."
            raise UserError("not_finite", "calibration", f"activation {name}: {found}", "finite numbers", fix)
