"""Penalised multinomial logistic regression, and its path over several penalties: the optimum within a second.

The search is L-BFGS in coordinates in which the curvature of the objective is about equal in every direction. For
EfficientNet-Lite0's features of 5,000 images it takes 43 evaluations at a penalty of 0.1; on plain standardised
features, 205.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.threads import on_threads, shared

LARGE = 30_000_000  # multiplications of one product: from here on float32, twice as fast
STEEPEST = {torch.float64: 1e-6, torch.float32: 3e-5}  # gradient at which a search ends, as small as rounding permits
ROUGH = 1e-3  # enough to choose among heads: the objective is within 2e-4 of its minimum, in a quarter of the time
EVALUATIONS = 45, 120  # of the objective for one penalty, and for seven: 23 … 66 and 95 … 153 on eight shapes
ENOUGH = 2_000  # images for finding the principal axes, or 1.5 times the number of features if that is more
LEAST_BEND = 1e-3  # curvature along an intercept, which has no penalty, for a class that is never in doubt


@dataclass(frozen=True)
class Head:
    """Logits = embedding · weightᵀ + bias, in the embedding's type: weight [classes, D], bias [classes], float64."""

    weight: Tensor
    bias: Tensor

    def __call__(self, embedding: Tensor) -> Tensor:
        weight, bias = self.weight.to(embedding), self.bias.to(embedding)
        return torch.addmm(bias, embedding, weight.T)


def solve(features: Tensor, labels: Tensor, classes: int, l2: float) -> Head:
    """The optimum of mean cross-entropy + l2/2 · ‖W‖² on standardised features [N, D].

    The intercept is not penalised, so this is scikit-learn's LogisticRegression with C = 1/(l2·N). The standardisation
    is folded into the returned head, which takes the original features. A constant feature gets weight 0.
    """
    return Problem.of(features, labels, classes).solve(l2)


def standardised(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(features [N, D] with mean 0 and standard deviation 1 in their own type, the mean [D] and the scale [D] in
    float64); a constant feature becomes 0."""
    near = features.mean(0)
    x = features - near
    rest = x.mean(0)  # the remainder of the mean due to rounding
    deviation = x.sub_(rest).square().mean(0).double().sqrt()
    mean = near.double() + rest.double()
    varies = deviation > 1e-8 * mean.abs().clamp_min(1e-12)
    scale = torch.where(varies, 1 / deviation, torch.zeros_like(deviation))
    return x.mul_(scale.to(x)), mean, scale


def operations(images: int, width: int, classes: int, penalties: int) -> float:
    """The approximate number of double-precision operations to find the head at the best of `penalties` penalties."""
    width = min(images, width)
    large = images * width * classes >= LARGE
    turning = (4.0 * images * width**2 + 10.0 * width**3) * (0.07 if large else 0.14)  # products of large matrices
    evaluation = 4.0 * images * width * classes * (0.3 if large else 1.0)
    return turning + EVALUATIONS[penalties > 1] * evaluation


def fitting(shape: torch.Size, classes: int) -> torch.dtype:
    """The number format for a search on features of this shape."""
    return torch.float32 if shape.numel() * classes >= LARGE else torch.float64


class View(NamedTuple):
    """How features [N, D] are transformed before the head: (features − mean) · scale · basisᵀ, of [D], [D] and [K, D].

    Without a basis, along the features' own axes.
    """

    mean: Tensor
    scale: Tensor
    basis: Tensor | None

    def __call__(self, features: Tensor) -> Tensor:
        x = (features.double() - self.mean) * self.scale
        return x if self.basis is None else x @ self.basis.T

    def turned(self, axes: Tensor) -> View:
        """The same, rotated to `axes` [K, K]."""
        across = axes.double().T
        return self._replace(basis=across if self.basis is None else across @ self.basis.double())


@dataclass
class Problem:
    """Standardised features [N, D] as `rotated` [N, K] = view(features), along their principal axes; the variance along
    each is in `variances` [K]. K is D, or N if there are fewer images than features, as the optimum lies in the span of
    the images whatever D is; or the number of chosen directions. `there` is the view for the images that the saved file
    will receive, the same unless they are of another domain.

    Small problems are solved in float64, large ones in float32, which leaves the objective within 1e-6 of its minimum.

    A search starts from an extrapolation of earlier solutions, which saves a third of the evaluations or more.
    """

    rotated: Tensor
    variances: Tensor
    labels: Tensor
    view: View
    there: View
    classes: int
    path: list[Solution] = field(default_factory=list)

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int) -> Problem:
        """The problem for features [N, D] and labels [N]."""
        x, mean, scale = standardised(features.to(fitting(features.shape, classes)))
        if len(x) < x.shape[1]:
            columns, triangle = torch.linalg.qr(x.T)  # ten times cheaper than singular vectors, for the same space
            view = View(mean, scale, columns.T)
            return cls.turned(triangle.T, labels, classes, view, view)
        view = View(mean, scale, None)
        return cls.turned(x, labels, classes, view, view)

    @classmethod
    def along(cls, features: Tensor, labels: Tensor, classes: int, directions: Tensor) -> Problem:
        """The problem for the standardised features projected onto `directions` [D, K]: the resulting head takes the
        original features, so it includes the transformation."""
        _, mean, scale = standardised(features.double())
        view = View(mean, scale, directions.T)
        return cls.across(features, labels, classes, view, view)

    @classmethod
    def across(cls, features: Tensor, labels: Tensor, classes: int, view: View, there: View) -> Problem:
        """The problem for features transformed by `view`, whose solution is used on images transformed by `there`."""
        seen = view(features)
        return cls.turned(seen.to(fitting(seen.shape, classes)), labels, classes, view, there)

    @classmethod
    def turned(cls, seen: Tensor, labels: Tensor, classes: int, view: View, there: View) -> Problem:
        """The problem for `seen` [N, K] = view(features), rotated to its principal axes, which preserves the norm of
        the weights."""
        some = seen[:: math.ceil(len(seen) / max(ENOUGH, 1.5 * seen.shape[1]))]  # the axes only speed up the search
        variances, axes = torch.linalg.eigh(some.T @ some / len(some))
        return cls(seen @ axes, variances.clamp_min(0), labels, view.turned(axes), there.turned(axes), classes)

    def solve(self, l2: float, *, rough: bool = False) -> Head:
        """The head for this penalty, for images like those it was trained on; a `rough` one is accurate enough to be
        compared with others."""
        steepest = ROUGH if rough else STEEPEST[self.rotated.dtype]
        with on_threads(shared(self.rotated.numel() * self.classes, torch.get_num_threads())):
            found = self._search(l2, steepest, *self._start(l2))
        self.path.append(found)
        return self._head(self.view)

    def deployed(self) -> Head:
        """The last solution as a head for the images that the saved file will receive."""
        return self._head(self.there)

    def _head(self, view: View) -> Head:
        assert view.basis is not None
        found = self.path[-1]
        scaled = (found.weight.double() @ view.basis) * view.scale
        return Head(scaled, found.bias.double() - scaled @ view.mean)

    def _start(self, l2: float) -> tuple[Tensor, Tensor]:
        """Initial weight [C, K] and bias [C]: on the parabola through the last three solutions over log l2."""
        known = {found.l2: found for found in self.path}
        near = [known[l2]] if l2 in known else list(known.values())[-3:]
        weight, bias = self.rotated.new_zeros(self.classes, self.rotated.shape[1]), self.rotated.new_zeros(self.classes)
        for one in near:
            others = [other.l2 for other in near if other is not one]
            share = math.prod(math.log(l2 / other) / math.log(one.l2 / other) for other in others)
            weight, bias = weight + share * one.weight, bias + share * one.bias
        return weight, bias

    def _search(self, l2: float, steepest: float, weight: Tensor, bias: Tensor) -> Solution:
        bend = Bend.at(torch.addmm(bias, self.rotated, weight.T), self.variances, l2)
        point = bend.flatten(weight, bias)
        optimizer = torch.optim.LBFGS(
            [point],
            max_iter=500,
            history_size=20,
            tolerance_grad=steepest,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )
        measure = self.objective(l2)

        def closure() -> Tensor:
            value, *slope = measure(*bend.unfold(point))
            point.grad = bend.slope(*slope)
            return value

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        return Solution(l2, *bend.unfold(point))

    def objective(self, l2: float) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
        """(mean cross-entropy + l2/2 · ‖W‖², its gradient by the weight [C, K], and by the bias [C])."""
        images = len(self.labels)
        truth = F.one_hot(self.labels, self.classes).T.to(self.rotated).contiguous()

        def objective(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            logits = torch.addmm(bias, self.rotated, weight.T.contiguous())
            logs = logits.T.contiguous().log_softmax(0)  # [C, N]: four times faster than along short rows
            value = -(logs * truth).sum(dtype=torch.float64) / images
            value = value + 0.5 * l2 * weight.square().sum(dtype=torch.float64)
            wrong = ((logs.exp() - truth) / images).T.contiguous()  # [N, C]: the product takes two thirds of the time
            return value, torch.addmm(weight, wrong.T, self.rotated, beta=l2), wrong.sum(0)

        return objective


@dataclass(frozen=True)
class Solution:
    """The optimum at a penalty along the principal axes: weight [C, K], bias [C]."""

    l2: float
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Bend:
    """The coordinates of the search, which normalise the curvature of the objective at its start.

    Its second derivative there is the mean over images of x·xᵀ ⊗ (diag(p) − p·pᵀ), plus l2; approximated by the product
    of the means, as in K-FAC (Martens & Grosse 2015, arXiv:1503.05671), it is diagonal along the principal axes of the
    features and of the classes, `mix` [C, C]: variances · doubts + l2. `weight` [C, K] and `bias` [C] are its −1/2
    power.
    """

    mix: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    def at(cls, logits: Tensor, variances: Tensor, l2: float) -> Bend:
        """The coordinates for a search that starts at logits [N, C]."""
        p = logits.softmax(1)
        doubts, mix = torch.linalg.eigh(p.mean(0).diag() - p.T @ p / len(p))
        doubts = doubts.clamp_min(0)
        return cls(mix, (doubts[:, None] * variances + l2).rsqrt(), (doubts + LEAST_BEND).rsqrt())

    def flatten(self, weight: Tensor, bias: Tensor) -> Tensor:
        """A point of the search, [C·K + C], for a weight and a bias."""
        return torch.cat([(self.mix.T @ weight / self.weight).flatten(), self.mix.T @ bias / self.bias])

    def unfold(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """The weight and the bias of a point."""
        weight, bias = point[: self.weight.numel()].view_as(self.weight), point[self.weight.numel() :]
        return self.mix @ (self.weight * weight), self.mix @ (self.bias * bias)

    def slope(self, weight: Tensor, bias: Tensor) -> Tensor:
        """The gradient at a point, from those with respect to weight and bias."""
        return torch.cat([(self.mix.T @ weight * self.weight).flatten(), self.mix.T @ bias * self.bias])
