"""Transfer by a linear head on a frozen backbone: features computed once, the optimum found, the penalty chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.backbones.heads import head_layer
from core.engine.bench import Bench, Figures
from core.engine.export.graph import describe, with_head
from core.engine.forecast import Labour
from core.engine.method import Saved, knob
from core.engine.model import Model
from core.engine.threads import one_thread
from core.engine.transfer import Transfer
from core.engine.transfer.embedding import extractor, template
from core.files import write_atomic

GRID = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
SMALL = 5_000_000  # multiplications of one product: below, a second thread saves less than waiting for it may cost
EVALUATIONS = 25  # of the objective until a search of the grid ends: 8 … 26 measured on 512 … 1,280 features


@dataclass(frozen=True)
class Head:
    """Logits = embedding · weightᵀ + bias: weight [classes, D], bias [classes], float64."""

    weight: Tensor
    bias: Tensor

    def __call__(self, embedding: Tensor) -> Tensor:
        return embedding.to(self.weight) @ self.weight.T + self.bias


class Frozen(NamedTuple):
    """A network that keeps its weights but for the head, and what its head is given for uint8 images [N, C, H, W]:
    `embed` gives [N, D], from the cache where they are there."""

    model: Model
    embed: Callable[[Tensor], Tensor]


class There(NamedTuple):
    """The recipe's target as a head may know it: its images' features [M, D], and which classes they can be of."""

    features: Tensor
    shared: tuple[int, ...]


class ProbedTransfer(Transfer, ABC):
    """A frozen backbone with an optimal linear head; a method fills `problems`, and may say what `frozen` is."""

    effort: ClassVar[float] = 1.0  # of the search, as a multiple of one on all features

    l2: float = knob(
        0.0, "L2 penalty",
        "Half the penalty on the squared weights, beside the mean cross-entropy; 0 picks the best on validation.",
        zh=("L2 惩罚", "在平均交叉熵之外对权重平方的惩罚(的一半);0 表示按验证集自动选择。"), ge=0.0, le=100.0,
    )  # fmt: skip

    @abstractmethod
    def problems(self, features: Tensor, labels: Tensor, classes: int, there: There | None) -> Sequence[Problem]:
        """What the head is searched on, from features [N, D] and labels [N]; of several the best on validation. `there`
        is the target where it `adapts`."""

    def adapts(self) -> bool:
        """Whether the head is fitted to the recipe's target too; here not."""
        return False

    def frozen(self, model: Model, bench: Bench) -> Frozen:
        """The network that gets the head, and how its features come about; raises UserError, before any work, where an
        option does not suit it."""
        return Frozen(model, lambda images: extractor(model).embed(images, bench))

    def apply(self, model: Model, bench: Bench) -> Model:
        """The backbone unchanged, with the optimal head; `l2` 0 tries a grid and keeps the best on validation.

        The heads come first: something moves on the screen while the validation images are still on their way. One that
        adapts to the target is chosen as it sees the source, where labels may be looked at.
        """
        model, embed = self.frozen(model, bench)
        split, validation = bench.labelled, bench.data.validation
        features = embed(split.images)
        heads, deployed, learned = [], [], []
        there = There(embed(bench.target.images), bench.target.shared) if self.adapts() and bench.target else None
        problems = self.problems(features, split.labels, len(model.classes), there)
        searches = [(problem, l2) for problem in problems for l2 in ((self.l2,) if self.l2 else GRID)]
        for number, (problem, l2) in enumerate(searches):
            bench.stop_if_cancelled()
            heads.append(problem.solve(l2))
            deployed.append(problem.deployed())
            learned.append(judge(heads[-1](features), split.labels))
            loss, accuracy = learned[-1]
            bench.report("training", number + 1, len(searches), 0, 1, Figures(loss=loss, accuracy=accuracy))
        judged = embed(validation.images)
        best: tuple[float, Head] | None = None
        for number, (head, kept, (loss, accuracy)) in enumerate(zip(heads, deployed, learned, strict=True)):
            told, right = judge(head(judged), validation.labels)
            figures = Figures(loss=loss, accuracy=accuracy, validation_loss=told, validation_accuracy=right)
            bench.report("training", number + 1, len(searches), 0, 1, figures)
            if best is None or right > best[0]:
                best = (right, kept)
        assert best is not None
        layer = head_layer(model.net)
        assert isinstance(layer, nn.Linear)
        with torch.no_grad():
            layer.weight.copy_(best[1].weight)
            layer.bias.copy_(best[1].bias)
        return model

    def labour(self, before: Model, after: Model, bench: Bench) -> tuple[Labour, ...]:
        """Every labelled and validation image once through the backbone, and the target's where it adapts; then the
        search on their features."""
        images, judged = len(bench.labelled), len(bench.data.validation)
        judged += len(bench.target.images) if self.adapts() and bench.target else 0
        layer = head_layer(after.net)
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        width = layer.weight[0].numel()
        products = 4.0 * images * min(images, width) * len(after.classes) * self.effort
        searches = 1 if self.l2 else len(GRID)
        return (Labour("answer", after, images + judged, operations=searches * EVALUATIONS * products),)

    def save(self, model: Model, path: Path, bench: Bench) -> Saved:
        """The cached graph of the backbone with the new head: a backbone is exported once."""
        layer = head_layer(model.net)
        assert isinstance(layer, nn.Linear)
        weight, bias = layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy()
        graph = describe(model, with_head(template(model, bench), weight, bias))
        write_atomic(path, graph.SerializeToString(deterministic=True))
        return Saved(notes=self.notes(model))

    def notes(self, model: Model) -> tuple[str, ...]:
        """What the receipt should say of the saved file, a sentence each."""
        return ()


def judge(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """(mean cross-entropy, share of right answers) of logits [N, C]."""
    return float(F.cross_entropy(logits, labels)), float((logits.argmax(1) == labels).float().mean())


def solve(features: Tensor, labels: Tensor, classes: int, l2: float) -> Head:
    """The optimum of mean cross-entropy + l2/2 · ‖W‖² on standardised features [N, D], by L-BFGS in float64.

    The intercept is free of the penalty, so this is scikit-learn's LogisticRegression with C = 1/(l2·N). The
    standardisation is folded into the returned head, which takes features as they are. A feature that never varies
    gets weight 0.
    """
    return Problem.of(features, labels, classes).solve(l2)


def standardised(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(features [N, D] with mean 0 and deviation 1 in float64, the mean [D], what to multiply by [D]); a feature that
    never varies becomes 0."""
    x = features.double()
    mean, deviation = x.mean(0), x.std(0, correction=0)
    varies = deviation > 1e-8 * mean.abs().clamp_min(1e-12)
    scale = torch.where(varies, 1 / deviation, torch.zeros_like(deviation))
    return (x - mean) * scale, mean, scale


class View(NamedTuple):
    """How a head sees features [N, D]: (features − mean) · scale · basisᵀ, with mean [D], scale [D], basis [K, D]."""

    mean: Tensor
    scale: Tensor
    basis: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return ((features.double() - self.mean) * self.scale) @ self.basis.T


@dataclass
class Problem:
    """Standardised features [N, D] as `rotated` [N, K] = view(features): in their own row space, at most N wide, where
    the optimum lies whatever D is, or along chosen directions. `there` is the view of the images that the saved file
    will be given, the same unless they are of another domain. The last solution is where the next search starts.
    """

    rotated: Tensor
    labels: Tensor
    view: View
    there: View
    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int) -> Problem:
        """The problem for features [N, D] and labels [N]."""
        x, mean, scale = standardised(features)
        if len(x) < x.shape[1]:
            columns, triangle = torch.linalg.qr(x.T)  # ten times cheaper than the singular vectors, for the same space
            rotated, basis = triangle.T, columns.T
        else:
            rotated, basis = x, torch.eye(x.shape[1], dtype=torch.float64)
        view = View(mean, scale, basis)
        return cls.start(rotated, labels, view, view, classes)

    @classmethod
    def along(cls, features: Tensor, labels: Tensor, classes: int, directions: Tensor) -> Problem:
        """The problem for the standardised features as seen along `directions` [D, K]: the head that comes out takes
        the features themselves, so the transformation is part of it."""
        _, mean, scale = standardised(features)
        view = View(mean, scale, directions.T)
        return cls.across(features, labels, classes, view, view)

    @classmethod
    def across(cls, features: Tensor, labels: Tensor, classes: int, view: View, there: View) -> Problem:
        """The problem for features seen by `view`, whose solution is deployed on images seen by `there`."""
        return cls.start(view(features), labels, view, there, classes)

    @classmethod
    def start(cls, rotated: Tensor, labels: Tensor, view: View, there: View, classes: int) -> Problem:
        """The problem with its search at zero."""
        empty = torch.zeros(classes, rotated.shape[1], dtype=torch.float64)
        return cls(rotated, labels, view, there, empty, torch.zeros(classes, dtype=torch.float64))

    def deployed(self) -> Head:
        """The last solution as a head for the images that the saved file will be given."""
        return self._head(self.there)

    def _head(self, view: View) -> Head:
        scaled = (self.weight @ view.basis) * view.scale
        return Head(scaled, self.bias - scaled @ view.mean)

    def solve(self, l2: float) -> Head:
        """The head for this penalty, for images such as those it learned on."""
        with one_thread() if self.rotated.numel() * len(self.bias) < SMALL else nullcontext():
            return self._solved(l2)

    def _solved(self, l2: float) -> Head:
        weight = self.weight.clone().requires_grad_()
        bias = self.bias.clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [weight, bias], max_iter=500, history_size=20, tolerance_grad=1e-6, tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def objective() -> Tensor:
            optimizer.zero_grad()
            value = F.cross_entropy(self.rotated @ weight.T + bias, self.labels) + 0.5 * l2 * weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(objective)  # type: ignore[no-untyped-call]
        self.weight, self.bias = weight.detach(), bias.detach()
        return self._head(self.view)
