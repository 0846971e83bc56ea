"""Transfer with a linear head on a frozen backbone: computes features once, finds the optimum, chooses the penalty."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from core.comparison.gap import KEPT
from core.engine.backbones.heads import head_layer
from core.engine.context import Context, Figures, Progress
from core.engine.export.graph import describe, with_head
from core.engine.forecast import Workload
from core.engine.measure.evaluate import scored
from core.engine.method import Saved, knob
from core.engine.model import Model
from core.engine.pipeline.first_model import warn_random_weights
from core.engine.threads import on_threads, shared
from core.engine.transfer import Transfer
from core.engine.transfer.embedding import extractor, template
from core.engine.transfer.logistic import Problem, operations
from core.files import write_atomic

GRID = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


class Frozen(NamedTuple):
    """A network whose weights except the head's are frozen, and the head's input for uint8 images [N, C, H, W]:
    `embed` returns [N, D], from the cache if available."""

    model: Model
    embed: Callable[[Tensor], Tensor]


class TargetFeatures(NamedTuple):
    """What a head may use of the recipe's target: its images' features [M, D], and the classes they can have."""

    features: Tensor
    shared: tuple[int, ...]


class ProbedTransfer(Transfer, ABC):
    """A frozen backbone with an optimal linear head; a method implements `candidates` and may override `frozen`."""

    needs_linear_head = True

    effort: ClassVar[float] = 1.0  # of the search, relative to a search on all features

    l2: float = knob(
        0.0, "L2 penalty",
        "Adds half of this times the squared weights to the mean cross-entropy. Automatic: the best on validation.",
        zh=("L2 惩罚", "平均交叉熵加上该值的一半乘以权重的平方和。自动：按验证集选择。"), ge=0.0, le=100.0,
        names={0.0: ("automatic", "自动")}, usual=0.01,
    )  # fmt: skip

    @abstractmethod
    def candidates(
        self, features: Tensor, labels: Tensor, classes: int, there: TargetFeatures | None
    ) -> Sequence[Problem]:
        """The problems to solve for the head, from features [N, D] and labels [N]; the best on validation is used.
        `there` is the target if the method `adapts`."""

    def adapts(self) -> bool:
        """Whether the head is also fitted to the recipe's target; by default not."""
        return False

    def frozen(self, model: Model, context: Context) -> Frozen:
        """The network that gets the head, and how its features are computed; raises UserError, before any work, if an
        option does not suit the network."""
        extract = extractor(model)
        return Frozen(model, lambda images: extract.embed(images, context))

    def apply(self, model: Model, context: Context) -> Model:
        """The backbone unchanged, with the optimal head; `l2` 0 tries a grid and keeps the best on validation.

        The heads are computed first, so that progress is visible before the validation features are ready. If there
        are several, each is solved roughly, and the best to convergence; the reported figures are of the rough ones. A
        head that adapts to the target is chosen by its accuracy on the source, where labels may be used.
        """
        warn_random_weights(model, context)
        came = model if context.artifact and not self.adapts() else None
        model, embed = self.frozen(model, context)
        features = embed(context.labelled.images)
        with on_threads(shared(features.numel() * len(model.classes), context.threads)):
            return self._fitted(Frozen(model, embed), came, features, context)

    def _fitted(self, frozen: Frozen, came: Model | None, features: Tensor, context: Context) -> Model:
        """The network with the head, fitted to `features` [N, D], that is best on validation; `came`: the incoming
        network, which is kept if its own head is better."""
        model, embed = frozen
        split, validation = context.labelled, context.data.validation
        heads, learned, rights = [], [], []
        there = (
            TargetFeatures(embed(context.target.images), context.target.shared)
            if self.adapts() and context.target
            else None
        )
        candidates = self.candidates(features, split.labels, len(model.classes), there)
        searches = [(problem, l2) for problem in candidates for l2 in ((self.l2,) if self.l2 else GRID)]
        several = len(searches) > 1
        for number, (problem, l2) in enumerate(searches):
            context.stop_if_cancelled()
            heads.append(problem.solve(l2, rough=several))
            seen = scored(heads[-1](features), split.labels)
            learned.append((seen.loss, seen.accuracy))
            context.report(Progress("training", 0, 1, number + 1, len(searches), Figures(*learned[-1])))
        evaluation = embed(validation.images)
        for number, (head, fitted) in enumerate(zip(heads, learned, strict=True)):
            held_out = scored(head(evaluation), validation.labels)
            figures = Figures(*fitted, validation_loss=held_out.loss, validation_accuracy=held_out.accuracy)
            context.report(Progress("training", 0, 1, number + 1, len(searches), figures))
            rights.append(held_out.accuracy)
        if came is model and self._stays(model, evaluation, max(rights), context):
            return model
        problem, l2 = searches[rights.index(max(rights))]
        if several:
            problem.solve(l2)
        head = problem.deployed()
        layer = head_layer(model.net)
        assert isinstance(layer, nn.Linear)
        with torch.no_grad():
            layer.weight.copy_(head.weight)
            layer.bias.copy_(head.bias)
        return model

    def _stays(self, model: Model, evaluation: Tensor, reached: float, context: Context) -> bool:
        """Whether the incoming head, of a network trained by an earlier step, is better on validation features [N, D]
        than any found here; reports it."""
        layer = head_layer(model.net)
        assert isinstance(layer, nn.Linear)
        with torch.no_grad():
            had = scored(layer(evaluation.to(layer.weight.device)).cpu(), context.data.validation.labels).accuracy
        if had <= reached:
            return False
        context.remark(
            KEPT,
            f"The probe reached {100 * reached:.1f} % on validation, below the {100 * had:.1f} % of the network "
            "that came in: its head is kept.",
        )
        return True

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """One pass of every labelled and validation image through the backbone, and of the target's if it adapts; then
        the search on their features."""
        images, evaluation = len(context.labelled), len(context.data.validation)
        evaluation += len(context.target.images) if self.adapts() and context.target else 0
        layer = head_layer(after.net)
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        width = layer.weight[0].numel()
        search = self.effort * operations(images, width, len(after.classes), 1 if self.l2 else len(GRID))
        return (Workload("answer", after, images + evaluation, operations=search),)

    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """The cached graph of the backbone with the new head: a backbone is exported only once."""
        layer = head_layer(model.net)
        assert isinstance(layer, nn.Linear)
        weight, bias = layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy()
        graph = describe(model, with_head(template(model, context), weight, bias))
        write_atomic(path, graph.SerializeToString(deterministic=True))
        return Saved(notes=self.notes(model))

    def notes(self, model: Model) -> tuple[str, ...]:
        """Notes on the saved file for the receipt, one sentence each."""
        return ()
