"""Where in an image a network sees the reason for a class: Grad-CAM, which needs gradients, and occlusion, which asks
the saved file alone.

A map is [S, S] with values from 0 to 1, 1 where the reason is strongest; all 0 where nothing speaks for the class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.engine.backbones.features import Observer
from core.engine.backbones.heads import evaluating

Map = NDArray[np.float32]
Image = NDArray[np.float32]  # [1, channels, S, S]
WINDOW, STRIDE = 5, 14  # parts of a side: the covered square, and its step
LEADING = 0.2  # share of the pixels that two maps are compared by
AT_ONCE = 64  # covered images in a batch


def grad_cam(net: nn.Module, image: Image, target: int) -> Map | None:
    """The weighted sum of the deepest feature maps, each weighted by the mean gradient of the logit of `target`; None
    where the network has no feature maps larger than 1 × 1.

    Selvaraju et al. 2017, Grad-CAM, arXiv:1610.02391, equations 1 and 2; enlarged bilinearly.
    """
    given = torch.from_numpy(image).requires_grad_()
    with evaluating(net), torch.enable_grad(), Observer(net, given) as observer:
        output = observer(given)
        maps = [feature for feature in output.features if feature.ndim == 4 and min(feature.shape[2:]) > 1]
        if not maps:
            return None
        (gradient,) = torch.autograd.grad(output.logits[0, target], maps[-1])
    weights = gradient.mean((2, 3), keepdim=True)
    reasons = (weights * maps[-1]).sum(1, keepdim=True).clamp(min=0)
    return scaled(enlarged(reasons, image.shape[2]))


def enlarged(reasons: Tensor, side: int) -> Map:
    """[1, 1, h, w] as [side, side]."""
    found: Map = functional.interpolate(reasons.detach(), (side, side), mode="bilinear")[0, 0].numpy()
    return found


def occlusion(logits: Callable[[Image], NDArray[np.float32]], image: Image, target: int) -> Map:
    """How much the logit of `target` falls when a square that lies over a pixel is covered with the mean colour, on
    average over all such squares; a rise counts as nothing. `logits` answers a batch [N, channels, S, S].

    Zeiler & Fergus 2014, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901.
    """
    return scaled(np.maximum(mean_drop(logits, image, target), 0))


def mean_drop(logits: Callable[[Image], NDArray[np.float32]], image: Image, target: int) -> Map:
    """The average fall of the logit over the squares on each pixel, rises included."""
    side = image.shape[2]
    squares = list(windows(side))
    whole = logits(image)[0, target]
    total, seen = np.zeros((side, side)), np.zeros((side, side))
    for start in range(0, len(squares), AT_ONCE):
        part = squares[start : start + AT_ONCE]
        batch = np.repeat(image, len(part), axis=0)
        for place, (rows, columns) in enumerate(part):
            batch[place, :, rows, columns] = 0  # the mean, once it is subtracted
        for (rows, columns), one in zip(part, logits(batch)[:, target], strict=True):
            total[rows, columns] += whole - one
            seen[rows, columns] += 1
    return (total / seen).astype(np.float32)


def window(side: int) -> tuple[int, int]:
    """The covered square's side and step in pixels."""
    return max(2, side // WINDOW), max(1, side // STRIDE)


def windows(side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each square; the last ones end at the border."""
    size, step = window(side)
    starts = [step * n for n in range(math.ceil((side - size) / step) + 1)]
    for row in starts:
        for column in starts:
            yield slice(row, row + size), slice(column, column + size)


def scaled(reasons: Map) -> Map:
    """So that the largest value is 1; all 0 stays as it is."""
    largest = float(reasons.max())
    return reasons / largest if largest > 0 else np.zeros_like(reasons)


def peak(reasons: Map) -> tuple[float, float] | None:
    """Where it is highest, as shares of height and width; None for all 0."""
    if not reasons.any():
        return None
    row, column = np.unravel_index(int(reasons.argmax()), reasons.shape)
    return (float(row) + 0.5) / reasons.shape[0], (float(column) + 0.5) / reasons.shape[1]


def overlap(one: Map, other: Map) -> float | None:
    """Intersection over union of the fifths of the pixels with the highest values; None where either is all 0."""
    if one.shape != other.shape or not one.any() or not other.any():
        return None
    first, second = (reasons >= np.quantile(reasons, 1 - LEADING) for reasons in (one, other))
    return float((first & second).sum() / (first | second).sum())
