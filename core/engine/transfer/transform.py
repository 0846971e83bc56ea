"""Feature transformation: features are rotated, scaled or reduced before a linear classifier is trained on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from core.controls import SOURCE_ONLY, english
from core.engine.backbones.heads import head_layer
from core.engine.context import Context
from core.engine.export.graph import no_linear_head
from core.engine.forecast import Forecast
from core.engine.method import Saved, knob
from core.engine.model import Model
from core.engine.transfer.adaptation import copied
from core.engine.transfer.logistic import Problem, View, standardised
from core.engine.transfer.probing import Frozen, ProbedTransfer, TargetFeatures
from core.engine.transfer.transformations import NAMES, Facts, transformation
from core.errors import UserError
from core.options import Value, Words
from core.rules.target import no_target

PARTS = (1, 2, 4, 8)  # 0 components: all, a half, a quarter and an eighth of them are tried


class Transform(ProbedTransfer):
    """Standardised features x → x · P, then multinomial logistic regression; P [D, K] is folded into the head, which
    remains one matrix [classes, D]. PCA, whitening, CCA with the labels, subspace alignment to a target: see
    core.engine.transfer.transformations."""

    title = Words("Feature transformation", "特征变换")
    summary = Words(
        "Projects the backbone's features before training a linear classifier; the saved file does not grow.",
        "先对骨干的特征做投影，再训练线性分类器；保存的文件不会变大。",
    )
    source = "https://arxiv.org/abs/1512.00809"
    effort: ClassVar[float] = 2.0  # 1 + 1/2 + 1/4 + 1/8
    target_choices: ClassVar[Mapping[str, tuple[Value, ...]]] = {
        "kind": tuple(name for name in NAMES if transformation(name).without_target)
    }

    kind: str = knob(
        "whitening", "Transformation",
        "PCA: the directions of largest variance; whitening: the same, scaled to equal variance; CCA: those that "
        "separate the classes best; subspace alignment: aligns the source's with the target's (needs a target).",
        zh=("变换", "PCA：方差最大的方向；白化：同样的方向并缩放到相同方差；CCA：最能区分类别的方向；"
            "子空间对齐：把源域的方向与目标域的方向对齐（需要目标数据集）。"), choices=NAMES,
        names={"cca": ("CCA", "CCA"), "pca": ("PCA", "PCA"), "whitening": ("whitening", "白化"),
               "subspace_alignment": ("subspace alignment", "子空间对齐")}, first=True,
    )  # fmt: skip
    components: int = knob(
        0, "Directions kept",
        "How many. Automatic: all, a half, a quarter or an eighth, whichever is best on validation. CCA has at "
        "most one fewer than classes.",
        zh=("保留的方向数", "保留多少个。自动：按验证集在全部、一半、四分之一、八分之一中选择。CCA 最多为类别数减一。"),
        ge=0, le=8192, names={0: ("automatic", "自动")}, usual=64,
    )  # fmt: skip
    shrink: bool = knob(
        True, "Shrink the covariance",
        "Stabilises whitening and CCA when there are few images (Ledoit and Wolf 2004); does not affect PCA.",
        zh=("收缩协方差", "图像较少时使白化和 CCA 更稳定（Ledoit 与 Wolf 2004）；对 PCA 没有影响。"),
    )  # fmt: skip

    def adapts(self) -> bool:
        """Whether the transformation does."""
        return bool(transformation(self.kind).without_target)

    def frozen(self, model: Model, context: Context) -> Frozen:
        """Raises UserError `out_of_range` if there are fewer directions, `no_target` if a target is missing."""
        self._refuse(model, context)
        return super().frozen(model, context)

    def _refuse(self, model: Model, context: Context) -> None:
        layer = head_layer(model.net)
        if not isinstance(layer, nn.Linear):
            raise no_linear_head(type(layer).__name__)
        images, classes = self._images(context), len(model.classes)
        most = transformation(self.kind).most(layer.in_features, images, classes)
        if self.components > most:
            allowed = (
                f"0 to {most}: {self.kind} on {layer.in_features} features of {images} images in {classes} classes"
            )
            raise UserError("out_of_range", "components", self.components, allowed, f"Set components to {most} or 0.")

    def _images(self, context: Context) -> int:
        """The number of images that determine the directions; of two domains the smaller."""
        if not self.adapts():
            return len(context.labelled)
        if context.target is None:
            raise no_target("kind", self.kind)
        alike = torch.isin(context.labelled.labels, torch.tensor(context.target.shared))
        return min(int(alike.sum()), len(context.target.images))

    def candidates(
        self, features: Tensor, labels: Tensor, classes: int, there: TargetFeatures | None
    ) -> Sequence[Problem]:
        """One for each number of directions. Alignment of two domains uses the classes that both have."""
        kind = transformation(self.kind)
        alike = torch.isin(labels, torch.tensor(there.shared)) if there else torch.ones_like(labels, dtype=torch.bool)
        x, mean, scale = standardised(features[alike].double())
        target, there_mean, there_scale = standardised(there.features.double()) if there else (None, mean, scale)
        facts = Facts(x, labels[alike], classes, self.shrink, target)
        found = kind.directions(facts)
        width = found.shape[1]  # fewer than predicted if features are linearly dependent
        counts = [min(self.components, width)] if self.components else [max(1, width // part) for part in PARTS]
        cuts = [found[:, :k] for k in dict.fromkeys(counts)]
        views = [(View(mean, scale, kind.aligned(facts, cut).T), View(there_mean, there_scale, cut.T)) for cut in cuts]
        return [Problem.across(features, labels, classes, *both) for both in views]

    def controls(self, model: Model, context: Context) -> dict[str, Callable[[], Model]]:
        """If it adapts: the same classifier in the source's own directions, without the target."""
        alone = context.for_control(english(SOURCE_ONLY))
        return {SOURCE_ONLY: lambda: self._alone().apply(copied(model), alone)} if self.adapts() else {}

    def _alone(self) -> Transform:
        return self.model_copy(update={"kind": transformation(self.kind).without_target})

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """The same network with a different head."""
        self._refuse(before.model, context)
        return before

    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """As for any probe; the control has its own notes."""
        alone = self.adapts() and english(SOURCE_ONLY) in context.place
        return self._alone().save(model, path, context) if alone else super().save(model, path, context)

    def notes(self, model: Model) -> tuple[str, ...]:
        """How the transformation is stored."""
        layer = head_layer(model.net)
        assert isinstance(layer, nn.Linear)
        kept = f"{self.components} directions" if self.components else "as many directions as validation chose"
        folded = (
            f"{self.kind} with {kept} is folded into the head: one matrix {layer.out_features} × {layer.in_features}, "
            "so the file is as large and as fast as a linear probe's"
        )
        return tuple(filter(None, (folded, transformation(self.kind).note)))
