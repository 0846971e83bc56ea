"""Features of two networks made comparable: matched stages of one size, layers that adapt widths, and embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isqrt
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.output import Output
from core.errors import UserError

Loss = Callable[[Output, Output, Tensor | None], Tensor]


def matched(student: Output, teacher: Output) -> list[tuple[Tensor, Tensor]]:
    """The stages of both, matched from the deepest; if one network has more, its shallowest are left out.

    Raises UserError if an Output has no features, as for a network on vectors.
    """
    for side, output in (("student", student), ("teacher", teacher)):
        if not output.features:
            fix = "Choose a network with stages, or a method that compares logits, such as kd."
            raise UserError("no_features", side, "a network or cache with logits only", "features of its stages", fix)
    count = min(len(student.features), len(teacher.features))
    return list(zip(student.features[-count:], teacher.features[-count:], strict=True))


def pairs(student: Output, teacher: Output) -> list[tuple[Tensor, Tensor]]:
    """The matched stages as maps [N, channels, height, width] of one size: the larger is average-pooled to the smaller.

    Tokens [N, tokens, width] become a square map, without the class token, if the other side has other positions.
    """
    return [_one_size(mine, theirs) for mine, theirs in matched(student, teacher)]


def embeddings(student: Output, teacher: Output) -> tuple[Tensor, Tensor]:
    """The embeddings [N, D] of both, of any widths; raises UserError if one is missing."""
    for side, output in (("student", student), ("teacher", teacher)):
        if output.embedding is None:
            fix = "Use a method that compares logits, such as kd."
            raise UserError("no_embedding", side, "an output without embedding", "the input of its last layer", fix)
    return cast(Tensor, student.embedding), cast(Tensor, teacher.embedding)


class Regressors(nn.Module):
    """A loss over features with layers that map the student's channels to the teacher's; trained with the student.

    `regressor` (inputs, outputs) creates the layer of a stage. `loss` is called with the student's adapted features and
    the teacher's, both as maps of one size.
    """

    def __init__(
        self, loss: Loss, student: Output, teacher: Output, regressor: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        widths = [(mine.shape[1], theirs.shape[1]) for mine, theirs in pairs(student, teacher)]
        self.layers = nn.ModuleList(regressor(inputs, outputs) for inputs, outputs in widths)
        self.loss = loss

    def forward(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        found = pairs(student, teacher)
        mine = [layer(feature) for layer, (feature, _) in zip(self.layers, found, strict=True)]
        return self.loss(replace(student, features=mine), replace(teacher, features=[t for _, t in found]), target)


def same_widths(found: list[tuple[Tensor, Tensor]], method: str) -> list[tuple[Tensor, Tensor]]:
    """`found`; raises UserError if channels differ and no layer has adapted them."""
    for mine, theirs in found:
        if mine.shape[1] != theirs.shape[1]:
            given = f"{mine.shape[1]} channels, while the teacher has {theirs.shape[1]}"
            fix = f"Train with {method} as a step: it trains layers that adapt the widths."
            raise UserError("different_channels", "student", given, f"{theirs.shape[1]} channels", fix)
    return found


def _one_size(mine: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    if mine.ndim == theirs.ndim == 3 and mine.shape[1] == theirs.shape[1]:
        return mine.mT.unsqueeze(-1), theirs.mT.unsqueeze(-1)  # the same tokens, the class token too
    mine, theirs = _map(mine), _map(theirs)
    size = (min(mine.shape[2], theirs.shape[2]), min(mine.shape[3], theirs.shape[3]))
    return _pooled(mine, size), _pooled(theirs, size)


def _map(feature: Tensor) -> Tensor:
    """[N, tokens, width] as [N, width, side, side]; drops the first token if only the others form a square."""
    if feature.ndim == 4:
        return feature
    tokens = feature.shape[1]
    side = isqrt(tokens)
    if side**2 != tokens and isqrt(tokens - 1) ** 2 == tokens - 1:
        side, feature = isqrt(tokens - 1), feature[:, 1:]
    if side**2 == feature.shape[1]:
        return feature.mT.reshape(len(feature), -1, side, side)
    return F.adaptive_avg_pool1d(feature.mT, side**2).reshape(len(feature), -1, side, side)


def _pooled(feature: Tensor, size: tuple[int, int]) -> Tensor:
    return feature if tuple(feature.shape[2:]) == size else F.adaptive_avg_pool2d(feature, size)
