"""Feature transformation: the features are turned, scaled or cut before a linear classifier learns on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from core.engine.backbones.heads import head_layer
from core.engine.bench import Bench
from core.engine.export.graph import no_linear_head
from core.engine.forecast import Outline
from core.engine.method import knob
from core.engine.model import Model
from core.engine.transfer.logistic import Problem, standardised
from core.engine.transfer.probing import Frozen, ProbedTransfer
from core.engine.transfer.transformations import NAMES, Facts, transformation
from core.errors import UserError
from core.options import Words

PARTS = (1, 2, 4, 8)  # 0 components: all, a half, a quarter and an eighth of them are tried


class Transform(ProbedTransfer):
    """Standardised features x → x · P, then multinomial logistic regression; P [D, K] is folded into the head, which
    stays one matrix [classes, D]. PCA, whitening, CCA with the labels: see core.engine.transfer.transformations."""

    title = Words("Feature transformation", "特征变换")
    summary = Words(
        "The backbone's features are projected before a linear classifier learns; the saved file grows by nothing.",
        "先对骨干的特征做投影,再训练线性分类器;保存的文件不会变大。",
    )
    source = "https://arxiv.org/abs/1512.00809"
    effort: ClassVar[float] = 2.0  # 1 + 1/2 + 1/4 + 1/8

    kind: str = knob(
        "whitening", "Transformation",
        "pca: the directions of most variance; whitening: those, scaled alike; cca: those that tell the classes apart.",
        zh=("变换", "pca:方差最大的方向;whitening:同样的方向并统一尺度;cca:最能区分类别的方向。"), choices=NAMES,
    )  # fmt: skip
    components: int = knob(
        0, "Directions kept",
        "How many; 0 picks all, a half, a quarter or an eighth on validation. cca has one fewer than classes.",
        zh=("保留的方向数", "保留多少个;0 表示按验证集在全部、一半、四分之一、八分之一中选择。cca 最多为类别数减一。"),
        ge=0, le=8192,
    )  # fmt: skip
    shrink: bool = knob(
        True, "Shrink the covariance",
        "Steadies whitening and cca where images are few (Ledoit and Wolf 2004); pca does not depend on it.",
        zh=("收缩协方差", "图像较少时使 whitening 和 cca 更稳定(Ledoit 与 Wolf 2004);对 pca 没有影响。"),
    )  # fmt: skip

    def frozen(self, model: Model, bench: Bench) -> Frozen:
        """Raises UserError `out_of_range` where there are not so many directions."""
        self._refuse(model, bench)
        return super().frozen(model, bench)

    def _refuse(self, model: Model, bench: Bench) -> None:
        layer = head_layer(model.net)
        if not isinstance(layer, nn.Linear):
            raise no_linear_head(type(layer).__name__)
        images, classes = len(bench.labelled), len(model.classes)
        most = transformation(self.kind).most(layer.in_features, images, classes)
        if self.components > most:
            allowed = (
                f"0 to {most}: {self.kind} on {layer.in_features} features of {images} images in {classes} classes"
            )
            raise UserError("out_of_range", "components", self.components, allowed, f"Set components to {most} or 0.")

    def problems(self, features: Tensor, labels: Tensor, classes: int) -> Sequence[Problem]:
        """One for each number of directions."""
        x, _, _ = standardised(features.double())
        found = transformation(self.kind).directions(Facts(x, labels, classes, self.shrink))
        there = found.shape[1]  # fewer than foreseen where features repeat one another
        counts = [min(self.components, there)] if self.components else [max(1, there // part) for part in PARTS]
        return [Problem.along(features, labels, classes, found[:, :k]) for k in dict.fromkeys(counts)]

    def outline(self, before: Outline, bench: Bench) -> Outline:
        """The same network with another head."""
        self._refuse(before.model, bench)
        return before

    def notes(self, model: Model) -> tuple[str, ...]:
        """What became of the transformation."""
        layer = head_layer(model.net)
        assert isinstance(layer, nn.Linear)
        kept = f"{self.components} directions" if self.components else "as many directions as validation chose"
        return (
            f"{self.kind} with {kept} is folded into the head: one matrix {layer.out_features} × {layer.in_features}, "
            "so the file is as large and as fast as a linear probe's",
        )
