"""Feature fusion: one linear classifier on the concatenated embeddings of several backbones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from core.engine.backbones.fused import fuse
from core.engine.backbones.heads import head_layer
from core.engine.context import Context
from core.engine.export.graph import no_linear_head
from core.engine.forecast import Forecast
from core.engine.method import knob
from core.engine.model import Model
from core.engine.pipeline.first_model import side_of, start, warn_random_weights
from core.engine.transfer.embedding import extractor
from core.engine.transfer.logistic import Problem
from core.engine.transfer.probing import Frozen, ProbedTransfer, TargetFeatures
from core.options import Words
from core.rules.networks import fellows


class Fusion(ProbedTransfer):
    """Concatenated embeddings, then multinomial logistic regression (early feature fusion, Snoek et al. 2005,
    https://doi.org/10.1145/1101149.1101236). The saved file holds all backbones."""

    title = Words("Feature fusion", "特征融合")
    summary = Words(
        "Several backbones process each image; one linear classifier is trained on all their features. Useful as a "
        "teacher for distillation: the file is as large and as slow as all of them together.",
        "多个骨干处理每张图像；在它们的全部特征上训练一个线性分类器。适合作为蒸馏的教师：文件大小与耗时是各骨干之和。",
    )
    source = "https://doi.org/10.1145/1101149.1101236"

    with_backbones: str = knob(
        "resnet8_fashion,resnet20_fashion", "Additional backbones",
        "In addition to the recipe's own, names separated by commas; small networks use their own image size.",
        zh=("附加骨干", "除配方自身的骨干之外的骨干名称，用逗号分隔；小网络使用自己的图像尺寸。"),
    )  # fmt: skip

    def frozen(self, model: Model, context: Context) -> Frozen:
        """The fused network; features come from each backbone's own cache."""
        parts = self._parts(model, context)
        for part in parts[1:]:
            warn_random_weights(part, context)
        extractors = [extractor(part) for part in parts]

        def embed(images: Tensor) -> Tensor:
            return torch.cat([each.embed(images, context) for each in extractors], 1)

        return Frozen(fuse(parts, context.data.size, context.data.channels), embed)

    def candidates(
        self, features: Tensor, labels: Tensor, classes: int, there: TargetFeatures | None
    ) -> Sequence[Problem]:
        """One: the features of all backbones."""
        return (Problem.of(features, labels, classes),)

    def needs(self) -> tuple[str, ...]:
        """All named backbones."""
        return tuple(fellows(self.with_backbones, ""))

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """All backbones in one network."""
        parts = self._parts(before.model, context)
        return Forecast(fuse(parts, context.data.size, context.data.channels), before.why)

    def notes(self, model: Model) -> tuple[str, ...]:
        """Which backbones' features are concatenated."""
        layer = head_layer(model.net)
        assert isinstance(layer, nn.Linear)
        return (f"{model.backbone.replace('+', ' + ')}: {layer.in_features} concatenated features in one file",)

    def _parts(self, model: Model, context: Context) -> list[Model]:
        """The recipe's backbone first; raises UserError `no_linear_head` if one does not end in a linear layer."""
        names = fellows(self.with_backbones, model.name)
        others = [start(name, replace(context, image_size=side_of(name, context.image_size))) for name in names]
        for part in (model, *others):
            if not isinstance(layer := head_layer(part.net), nn.Linear):
                raise no_linear_head(f"{type(layer).__name__} ({part.backbone})")
        return [model, *others]
